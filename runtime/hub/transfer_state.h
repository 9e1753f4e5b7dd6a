// What the threads of one transfer share: which bytes are there, asked for and wanted, and how the network does.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>

#include "runtime/hub/transfer.h"

namespace assay {

class TransferState {
 public:
  TransferState(HubContext& hub, EventTeller& teller, const TransferRequest& what, PartialFile& file);

  // The next bytes for the connection of this number, which are its own until release(); waits while others may still
  // give some back. Nothing when the connection is not needed any more.
  std::optional<Range> claim(int number, double bytes_per_second, double answer_s);
  void release(Range range);

  // Bytes of a claim have been written.
  void wrote(Range range);

  // One thread's report of a failure. `is_at_once`: try again without a pause, as a new address is known. Waits; false:
  // end.
  bool failed(const Error& error, std::optional<std::chrono::milliseconds> asked, bool is_at_once);
  // The end of everything.
  void give_up(Error error);
  std::optional<Error> fatal() const;
  bool is_over() const;  // complete, or given up, or stopped
  bool is_complete() const;
  // Whether bytes of two answers can be known to be of the same file.
  bool is_identified() const { return request.digest.has_value() || !request.etag.empty(); }
  std::uint64_t there_bytes() const;

  // How many connections there should be; threads of higher numbers end.
  int wanted() const { return wanted_.load(std::memory_order_relaxed); }
  void want(int connections);
  bool has_ranges() const { return has_ranges_.load(std::memory_order_relaxed); }
  void go_without_ranges();
  std::uint64_t received() const { return received_.load(std::memory_order_relaxed); }
  // Bytes that the hash has taken in. Where it falls behind, only the first connection goes on: others would take its
  // processor.
  void hashed(std::uint64_t bytes) { hashed_.fetch_add(bytes, std::memory_order_relaxed); }
  bool is_pressed() const { return is_pressed_.load(std::memory_order_relaxed); }  // the server asked for less

  // Where the bytes are, once a redirect has told; nothing: ask the request's own URL.
  std::optional<Url> data_url() const;
  void found_data_url(const Url& url);
  void forget_data_url(const Url& url);  // unless it is another by now

  // The data server's strong etag, for If-Range. check_validator says no when the file changed under a transfer that is
  // not pinned.
  std::string validator() const;
  bool check_validator(std::string_view etag);

  // Counts odd answers (a wrong range, a compressed body); the number of such so far.
  int count_odd() { return ++odd_answers_; }

  // Waits until bytes arrive, or for the end of everything, and no longer than the time.
  void wait_for_bytes(std::chrono::milliseconds time);
  void wait_for_end(std::chrono::milliseconds time);
  void notify_all();

  HubContext& context;
  EventTeller& events;
  const TransferRequest& request;
  PartialFile& partial;

 private:
  bool is_over_locked() const;
  bool is_hash_behind() const;
  std::optional<Range> next_gap() const;
  std::optional<std::chrono::milliseconds> next_wait(const Error& error,
                                                     std::optional<std::chrono::milliseconds> asked);

  mutable std::mutex mutex_;
  std::condition_variable bytes_;  // the hash waits for it
  std::condition_variable
      claims_changed_;  // connections without a claim and the coordinator do: not woken by every megabyte
  RangeSet taken_;      // there, or claimed
  RangeSet there_;
  int claims_ = 0;
  std::optional<Error> fatal_;
  std::optional<Url> data_url_;
  std::string validator_;
  Retry retry_;
  std::uint64_t received_at_failure_ = 0;
  std::chrono::steady_clock::time_point retry_at_{};
  std::atomic<std::uint64_t> received_{0}, hashed_{0};
  std::atomic<int> wanted_{1};
  std::atomic<int> odd_answers_{0};
  std::atomic<bool> has_ranges_{true}, is_pressed_{false};
};

}  // namespace assay
