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

  static constexpr void fields(auto visit) {
    using Q = QualityFacts;
    constexpr Better none = Better::none, down = Better::lower;
    visit("text", "", none, &Q::text);
    visit("text_sha256", "", none, &Q::text_sha256);
    visit("context", "tok", none, &Q::context);
    visit("windows", "", none, &Q::windows);
    visit("scored_tokens", "tok", none, &Q::scored_tokens);
    visit("perplexity", "", down, &Q::perplexity);
    visit("perplexity_error", "", none, &Q::perplexity_error);
    visit("reference", "", none, &Q::reference);
    visit("reference_perplexity", "", none, &Q::reference_perplexity);
    visit("kl_mean", "nat", down, &Q::kl_mean);
    visit("kl_median", "nat", down, &Q::kl_median);
    visit("kl_p99", "nat", down, &Q::kl_p99);
    visit("kl_max", "nat", down, &Q::kl_max);
    visit("top1_percent", "%", Better::higher, &Q::top1_percent);
    visit("worst_token", "nat", down, &Q::worst_token);
    visit("seconds", "s", none, &Q::seconds);
  }
};

}  // namespace assay
