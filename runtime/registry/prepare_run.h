// The part of prepare that computes: a model opened and bound, the number of threads chosen, a text generated.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runtime/engine/session.h"
#include "runtime/model/model.h"
#include "runtime/model/tokenizer.h"
#include "runtime/registry/prepare.h"

namespace assay {

// Model and Session point into the file: all stay where they are.
class LoadedModel {
 public:
  // Opens, plans, holds the plan against `bound_bytes` (0: none) and only then makes the session. Errors: memory, and
  // those of open_model, bind_model and Session::open. `facts` is filled as far as it came.
  static Result<std::unique_ptr<LoadedModel>> open(const std::string& path, const LoadSettings& settings,
                                                   std::uint64_t bound_bytes, LoadFacts& facts);

  // Reads the weights once, and takes the number of threads that decodes fastest. Errors: those of Session.
  Result<> choose_threads(OptimiseFacts& facts);

  // Generates a text; every logit must be finite, the speed and the memory within what is wanted. Errors: mismatch
  // (unwell), range, memory.
  Result<> check_health(const PrepareConfig& config, HealthFacts& facts);

  const LoadSettings& settings() const { return settings_; }  // as resolved

 private:
  LoadedModel() = default;
  Result<> open_session(int threads);
  Result<double> measure(std::uint32_t tokens);

  ModelFile file_;
  Model model_;
  std::optional<Tokenizer> tokenizer_;
  std::optional<Session> session_;
  LoadSettings settings_;
};

}  // namespace assay
