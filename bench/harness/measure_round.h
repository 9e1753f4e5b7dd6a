// measure_round(): warm-up and samples of one case in this process.
#pragma once

#include "bench/harness/open_case.h"

namespace assay {

// `samples` 0: as many as fit into a quarter of a second, at least 3 (1 when they are long), at most 64.
Result<Round> measure_round(OpenCase& open, const CaseSettings& settings, std::uint32_t samples);

}  // namespace assay
