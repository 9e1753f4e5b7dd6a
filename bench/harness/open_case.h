// OpenCase: a model opened with a case's settings: file, weights, tokenizer, session, and how long each took.
#pragma once

#include <memory>
#include <optional>

#include "bench/harness/tasks.h"
#include "runtime/engine/session.h"
#include "runtime/model/tokenizer.h"

namespace assay {

struct OpenCase {
  std::unique_ptr<ModelFile> file;  // stays where it is: the Model points into it
  std::unique_ptr<Model> model;
  std::optional<Tokenizer> tokenizer;
  std::optional<Session> session;
  StartTimes times;
};

// Settings that no backend of this build carries out are Code::unsupported.
Result<SessionOptions> session_options(const CaseSettings& settings);
// Positions the case needs.
std::uint64_t positions_of(const CaseSettings& settings);

// Errors: unsupported (settings, a depth beyond the model's context), memory (what is planned does not fit), those of opening.
Result<OpenCase> open_case(const TaskRequest& request);

CaseFigures figures_of(const Model& model, const MemoryPlan& plan);
Status status_of(const Error& error);

}  // namespace assay
