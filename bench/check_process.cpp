// The child's work and the parent's reading of it.
#include "bench/check_process.h"

#include <fmt/format.h>

#include <csignal>
#include <cstring>

#include "bench/check.h"
#include "bench/child.h"

namespace assay {

CheckReply check_model(const CheckRequest& request) {
  CheckReply reply;
  const auto run = [&]() -> Result<> {
    ASSAY_TRY(const ModelFile file, open_model(std::filesystem::path(request.path)));
    ASSAY_TRY(const Model model, bind_model(file));
    reply.tokens = sample_tokens(model, request.tokens);
    if (!request.golden.empty()) {
      ASSAY_TRY(reply.agreement, check_against_golden(model, request.session, request.golden));
    } else if (request.session.backend != BackendKind::reference) {
      ASSAY_TRY(reply.agreement, check_against_reference(model, request.session));
    }
    return success();
  };
  if (const auto done = run(); !done) reply.error = done.error().message();
  return reply;
}

std::vector<std::string> check_arguments(const CheckRequest& request) {
  std::vector<std::string> out = {"--check-one=" + request.path,
                                  "--check-tokens=" + std::to_string(request.tokens),
                                  "--backend=" + std::string(name_of(request.session.backend)),
                                  "--kv=" + std::string(name_of(request.session.kv)),
                                  "--threads=" + std::to_string(request.session.threads),
                                  "--batch=" + std::to_string(request.session.batch)};
  if (request.session.gpu_layers) out.push_back("--gpu-layers=" + std::to_string(*request.session.gpu_layers));
  if (!request.session.isa.empty()) out.push_back("--isa=" + std::string(request.session.isa));
  if (!request.golden.empty()) out.push_back("--check-against=" + request.golden);
  return out;
}

Result<CheckReply> check_in_child(const CheckRequest& request) {
  const auto fail = [&](std::string detail) { return Error{Code::memory, "check", std::move(detail), request.path}; };
  ASSAY_TRY(const ChildOutcome child, run_self(check_arguments(request)));
  if (child.signal != 0)
    return fail(fmt::format("the process that checks the answer was ended by signal {} ({}){}", child.signal, strsignal(child.signal),
                            child.signal == SIGKILL ? "; memory may have run out" : ""));
  const auto json = parse_json(child.output);
  auto reply = json ? from_json<CheckReply>(*json) : Result<CheckReply>(json.error());
  if (!reply) return fail(fmt::format("the process that checks the answer gave none (exit code {})", child.exit_code));
  if (!reply->error.empty()) return Error{Code::unsupported, "", "cannot check the answer: " + reply->error};  // names the file itself
  if (reply->tokens.size() != request.tokens) return fail("the process that checks the answer gave no tokens");
  return reply;
}

}  // namespace assay
