// QualityFacts: how well a model predicts a text, alone and beside a file of higher precision.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/core/describe.h"

namespace assay {

struct QualityFacts {
  std::string text{};         // "built-in" or the file's name
  std::string text_sha256{};  // of its bytes
  std::uint32_t context = 0;  // tokens of a window; the second half of each is scored
  std::uint32_t windows = 0;
  std::uint64_t scored_tokens = 0;
  double perplexity = 0;
  double perplexity_error = 0;  // standard error
  // Against the reference file; KL(reference || model) in nats a token.
  std::string reference{};
  std::optional<double> reference_perplexity{};
  std::optional<double> kl_mean{}, kl_median{}, kl_p99{}, kl_max{};
  std::optional<double> top1_percent{};    // positions where both call the same token the most likely
  std::optional<double> worst_token{};     // largest difference of log-probability over the scored tokens
  double seconds = 0;

  static constexpr auto fields() {
    using Q = QualityFacts;
    constexpr Better none = Better::none, down = Better::lower;
    return std::tuple(
        Field{"text", "", none, &Q::text}, Field{"text_sha256", "", none, &Q::text_sha256}, Field{"context", "tok", none, &Q::context},
        Field{"windows", "", none, &Q::windows}, Field{"scored_tokens", "tok", none, &Q::scored_tokens},
        Field{"perplexity", "", down, &Q::perplexity}, Field{"perplexity_error", "", none, &Q::perplexity_error},
        Field{"reference", "", none, &Q::reference}, Field{"reference_perplexity", "", none, &Q::reference_perplexity},
        Field{"kl_mean", "nat", down, &Q::kl_mean}, Field{"kl_median", "nat", down, &Q::kl_median},
        Field{"kl_p99", "nat", down, &Q::kl_p99}, Field{"kl_max", "nat", down, &Q::kl_max},
        Field{"top1_percent", "%", Better::higher, &Q::top1_percent}, Field{"worst_token", "nat", down, &Q::worst_token},
        Field{"seconds", "s", none, &Q::seconds});
  }
};

}  // namespace assay
