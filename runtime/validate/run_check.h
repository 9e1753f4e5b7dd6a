// Level `run`: the same short prompt on every backend, and what their logits must not be.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/model/model.h"

namespace assay {

// How a caller lets a model run. This floor knows no engine: it asks for logits and judges them.
struct RunBackend {
  std::string name;
  // Logits [tokens][vocabulary] of the prompt.
  std::function<Result<std::vector<float>>(const Model& model, std::span<const std::int32_t> tokens)> logits;
  // How far it may be from the first backend, as a share of the standard deviation of the true logits within a
  // position.
  double rms_bound = 0.06;
};

}  // namespace assay

namespace assay::validation {

class Subject;

// The first backend is the truth the others are held against. Says nothing when the model cannot be bound: other checks
// did.
void check_run(Subject& subject, std::span<const RunBackend> backends);

}  // namespace assay::validation
