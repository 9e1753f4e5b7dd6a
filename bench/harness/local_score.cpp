// The arithmetic of local_score().
#include "bench/harness/local_score.h"

#include <cmath>

namespace assay {

namespace {
constexpr std::size_t kTests = 9;
}

std::optional<LocalScore> local_score(const std::vector<const CaseRun*>& tests) {
  if (tests.size() != kTests) return std::nullopt;
  LocalScore out;
  for (const CaseRun* run : tests) {
    if (run->status != Status::ok || !run->prefill_tps || !run->decode_tps) return std::nullopt;
    const double prompt_ms = 1e3 * run->settings.prompt_tokens / run->prefill_tps->median;
    out.prompt_tps += run->prefill_tps->median / kTests;
    out.generation_tps += run->decode_tps->median / kTests;
    out.ttft_ms += (prompt_ms + 1e3 / run->decode_tps->median) / kTests;
  }
  out.score = 10 * std::cbrt(out.prompt_tps * out.generation_tps * 1e3 / out.ttft_ms);
  return out;
}

}  // namespace assay
