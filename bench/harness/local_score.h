// LocalScore: one number out of nine tests, as the project of that name defines it.
#pragma once

#include <optional>
#include <vector>

#include "bench/harness/case_run.h"

namespace assay {

// 10 times the cube root of mean prompt speed, mean generation speed and 1000 over the mean time to first token in ms, which there
// includes one decoded token. Means are plain. Nothing unless all nine were measured.
struct LocalScore {
  double prompt_tps = 0, generation_tps = 0, ttft_ms = 0, score = 0;
};
std::optional<LocalScore> local_score(const std::vector<const CaseRun*>& tests);

}  // namespace assay
