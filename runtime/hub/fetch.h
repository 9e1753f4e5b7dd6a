// Fetcher: one connection of a transfer: asks for claimed bytes, checks the answer, writes what comes.
#pragma once

#include <vector>

#include "runtime/hub/transfer_state.h"

namespace assay {

class Fetcher {
 public:
  Fetcher(TransferState& state, int number);
  // Claims and fetches until nothing is left, everything has failed, or this connection is not needed any more.
  void run();

 private:
  // What came of one request.
  struct Outcome {
    std::optional<Error> error{};
    std::optional<std::chrono::milliseconds> asked{};  // the server wants this wait
    bool is_at_once = false;                           // another try needs no pause
    bool is_final = false;                             // no other try will do
  };

  Outcome fetch(Range claim);
  HttpRequest request_for(Range claim);
  Outcome check_head(const HttpHead& head, const std::vector<HttpHead>& redirects, bool has_range);
  Outcome check_partial(const HttpHead& head, Range& claim);
  Outcome check_whole(const HttpHead& head, bool has_range);
  Outcome refused(const HttpHead& head);
  Outcome read_body(Range range, bool has_length);
  Result<> write_missing(const RangeSet& there, std::uint64_t at, Bytes bytes);
  Outcome odd(std::string what, bool ends_ranges);
  Outcome changed(std::string what);
  Error named(Error error) const;
  // The last request went to a remembered address, which is forgotten now: the hub may name a better one.
  bool forget_remembered();

  TransferState& state_;
  int number_;
  HttpClient client_;
  std::vector<std::byte> buffer_;
  double answer_s_ = 0, bytes_per_second_ = 0;
  std::optional<Url> remembered_;  // the address of an earlier redirect, where the last request went to one
  bool wants_plain_ = false;  // a proxy compressed an answer: say that it must not
};

}  // namespace assay
