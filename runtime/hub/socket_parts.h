// What socket.cpp and tls.cpp share: the state of a connection and the wait for it.
#pragma once

#include "runtime/hub/socket.h"

namespace assay {

Error stopped();
inline constexpr const char* kNoAnswer = "no answer in time";  // the detail of an error at a deadline

// Until the descriptor is ready for `events` (poll's). Errors: network at the deadline, interrupted.
Result<> wait_for(int descriptor, short events, Deadline deadline, const std::atomic<bool>& stop);

struct Socket::State {
  static constexpr std::size_t kMustWait = static_cast<std::size_t>(-1);  // until the descriptor is `wanted`

  State(int number, const std::atomic<bool>& stop_flag) : descriptor(number), stop(stop_flag) {}
  State(const State&) = delete;
  ~State();

  Result<std::size_t> read_plain(std::span<std::byte> into);
  Result<std::size_t> write_plain(Bytes bytes);
  Result<std::size_t> read_tls(std::span<std::byte> into);
  Result<std::size_t> write_tls(Bytes bytes);
  Result<std::size_t> wait_for_tls(int answer);  // what a call that answered so waits for, else the error
  void free_tls();

  int descriptor;
  const std::atomic<bool>& stop;
  short wanted = 0;     // what poll must wait for after kMustWait
  void* tls = nullptr;  // SSL*
};

}  // namespace assay
