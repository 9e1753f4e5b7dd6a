// Sampling: penalties, cuts and the draw.
#include "runtime/engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace assay {

Result<> check(const SamplerOptions& options) {
  const auto refuse = [](const char* name, const char* range) { return Error{Code::usage, name, std::string("must be ") + range}; };
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature)) return refuse("--temp", "0 or more");
  if (!(options.top_p > 0 && options.top_p <= 1)) return refuse("--top-p", "above 0 and at most 1");
  if (!(options.min_p >= 0 && options.min_p < 1)) return refuse("--min-p", "at least 0 and below 1");
  if (!(options.repetition_penalty > 0) || !std::isfinite(options.repetition_penalty)) return refuse("--repeat-penalty", "above 0");
  return success();
}

// The largest value lane by lane, which compilers make vectors of, then its first place. NaN compares false and loses.
std::int32_t most_likely(std::span<const float> logits) {
  constexpr std::size_t kLanes = 16;
  float tops[kLanes];
  std::fill_n(tops, kLanes, -std::numeric_limits<float>::infinity());
  const std::size_t whole = logits.size() / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) tops[lane] = logits[i + lane] > tops[lane] ? logits[i + lane] : tops[lane];
  for (std::size_t i = whole; i < logits.size(); ++i) tops[0] = logits[i] > tops[0] ? logits[i] : tops[0];
  const auto best = std::find(logits.begin(), logits.end(), *std::max_element(tops, tops + kLanes));
  return best == logits.end() ? 0 : static_cast<std::int32_t>(best - logits.begin());
}

std::int32_t Sampler::next(std::span<const float> logits, std::span<const std::int32_t> history) {
  if (options_.repetition_penalty != 1.0f) {
    penalised_.assign(logits.begin(), logits.end());
    std::vector<std::int32_t> recent(history.end() - static_cast<std::ptrdiff_t>(std::min<std::size_t>(history.size(), options_.repetition_window)), history.end());
    std::sort(recent.begin(), recent.end());
    recent.erase(std::unique(recent.begin(), recent.end()), recent.end());
    for (const std::int32_t id : recent) {
      float& logit = penalised_[static_cast<std::size_t>(id)];
      logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
    }
    logits = penalised_;
  }
  if (options_.temperature == 0) return most_likely(logits);

  candidates_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (!std::isnan(logits[i])) candidates_.push_back({logits[i], static_cast<std::int32_t>(i)});
  if (candidates_.empty()) return most_likely(logits);
  const auto likelier = [](const Candidate& a, const Candidate& b) { return a.logit > b.logit || (a.logit == b.logit && a.id < b.id); };
  const std::size_t keep = options_.top_k == 0 ? candidates_.size() : std::min<std::size_t>(options_.top_k, candidates_.size());
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(keep), candidates_.end(), likelier);
  candidates_.resize(keep);
  return draw();
}

// Candidates are sorted, likeliest first.
std::int32_t Sampler::draw() {
  const float top = candidates_.front().logit;
  double total = 0;
  for (Candidate& candidate : candidates_) total += candidate.logit = std::exp((candidate.logit - top) / options_.temperature);

  double kept = 0;
  std::size_t count = 0;
  for (const Candidate& candidate : candidates_) {
    const bool enough = kept >= options_.top_p * total || candidate.logit < options_.min_p;  // the first has weight 1
    if (count > 0 && enough) break;
    kept += candidate.logit;
    ++count;
  }
  // 53 random bits to [0, 1): the same on every platform, unlike std::uniform_real_distribution.
  double at = static_cast<double>(random_() >> 11) * 0x1p-53 * kept;
  for (std::size_t i = 0; i < count; ++i) {
    at -= candidates_[i].logit;
    if (at < 0) return candidates_[i].id;
  }
  return candidates_[count - 1].id;
}

}  // namespace assay
