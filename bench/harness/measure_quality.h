// measure_quality(): perplexity of a text, and how far a model's predictions are from those of a more precise file.
#pragma once

#include <string>

#include "bench/harness/plan.h"
#include "bench/harness/quality_facts.h"
#include "runtime/engine/session.h"

namespace assay {

// llama-perplexity's protocol: the text is tokenised as a prompt and cut into windows of plan.context tokens (the rest is left
// out); where the model begins texts with BOS it replaces the first token of each window; tokens in the second half of a window
// are scored. With plan.reference both files read the same windows side by side and are compared position by position; nothing
// is stored. Both run on options.backend.
// Errors: those of opening; missing (no tokenizer); usage (a text shorter than one window, a context the model was not made
// for); mismatch (the reference has another vocabulary).
Result<QualityFacts> measure_quality(const std::string& path, const SessionOptions& options, const QualityPlan& plan);

}  // namespace assay
