// A check in a process of its own, so that it neither warms nor inflates what is measured: both ends of the conversation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/record.h"
#include "runtime/core/error.h"
#include "runtime/engine/session.h"

namespace assay {

struct CheckRequest {
  std::string path;
  SessionOptions session;    // its context is not used: a check needs its own
  std::string golden;        // file of golden logits; empty: the reference backend is the truth
  std::uint32_t tokens = 0;  // sample tokens wanted back
};

// The answer, as JSON on the child's standard output.
struct CheckReply {
  std::optional<Agreement> agreement;  // nothing when the backend is the reference itself and there is no golden
  std::vector<std::int32_t> tokens;    // the sample text in the model's tokens, so that who measures needs no tokenizer
  std::string error;

  static constexpr void fields(auto visit) {
    using C = CheckReply;
    visit("agreement", "", Better::none, &C::agreement);
    visit("tokens", "", Better::none, &C::tokens);
    visit("error", "", Better::none, &C::error);
  }
};

// Child: carries out the check here and now.
CheckReply check_model(const CheckRequest& request);

// Parent: runs this program again with a hidden command line, which the program's main() reads back into a CheckRequest.
// Errors: memory (the child was killed), io, unsupported (the check could not be made).
std::vector<std::string> check_arguments(const CheckRequest& request);
Result<CheckReply> check_in_child(const CheckRequest& request);

}  // namespace assay
