// The tasks themselves, and the JSON around them.
#include "bench/harness/tasks.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <new>

#include "bench/check.h"
#include "bench/harness/file_hash.h"
#include "bench/harness/measure_quality.h"
#include "bench/harness/measure_round.h"
#include "bench/harness/page_cache.h"
#include "bench/model_suite.h"
#include "bench/probes.h"
#include "bench/record.h"
#include "runtime/core/parallel.h"
#include "runtime/core/sha256.h"
#include "runtime/engine/sampler.h"

namespace assay {

namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kGreedyPrompt = 16, kGreedyTokens = 32;

std::vector<fs::path> paths_of(const ModelFile& file) {
  std::vector<fs::path> out;
  for (const MappedFile& mapped : file.files) out.push_back(mapped.path());
  return out;
}

Result<> inspect(const TaskRequest& request, TaskReply& reply) {
  std::vector<fs::path> files;
  {
    ASSAY_TRY(const ModelFile file, open_model(fs::path(request.path)));
    ASSAY_TRY(const Model model, bind_model(file, Copies::planned));
    reply.model = describe_model(model, "");
    files = paths_of(file);
  }
  ASSAY_TRY(reply.model_sha256, hash_files(files, request.cache_folder));
  // Whether the settings can be carried out is for the rounds to say.
  TaskRequest one = request;
  one.settings = {};
  one.settings.backend = request.settings.backend;
  one.settings.gpu_layers = request.settings.gpu_layers;
  one.settings.threads = request.settings.threads;
  one.settings.prompt_tokens = 1;
  std::string warm_note = "not asked for";
  std::optional<StartTimes> cold;
  if (request.with_cold && (warm_note = drop_from_page_cache(files)).empty()) {
    ASSAY_TRY(const OpenCase open, open_case(one));
    cold = open.times;
  }
  ASSAY_TRY(const OpenCase open, open_case(one));
  reply.start = open.times;
  reply.start->cold_note = warm_note;
  if (cold) {
    reply.start->cold_load_ms = cold->load_ms;
    reply.start->cold_first_token_ms = cold->first_token_ms;
  }
  return success();
}

// What the answer depends on: the model, this very program, and the settings that change the arithmetic.
std::string check_key(const TaskRequest& request) {
  const auto program = sha256_of_file("/proc/self/exe");
  const std::string text = fmt::format("{} {} {} {} {}", request.model_sha256, program ? *program : "", request.settings.backend, request.settings.isa, request.settings.kv_keys);
  return sha256_of(std::as_bytes(std::span(text)));
}

struct CheckedAnswer {
  std::optional<Agreement> agreement;
  std::string output_hash;

  static constexpr void fields(auto visit) {
    visit("agreement", "", Better::none, &CheckedAnswer::agreement);
    visit("output_hash", "", Better::none, &CheckedAnswer::output_hash);
  }
};

Result<std::string> greedy_hash(const Model& model, SessionOptions options) {
  options.context = std::min(kGreedyPrompt + kGreedyTokens, model.config.context);
  const std::uint32_t prompt = std::min(kGreedyPrompt, options.context / 2 + 1);
  ASSAY_TRY(Session session, Session::open(model, options));
  const std::vector<std::int32_t> tokens = sample_tokens(model, prompt, sample_text());
  ASSAY_TRY(std::span<const float> logits, session.feed(tokens, LogitsWanted::last));
  std::string chosen;
  while (session.position() < session.context()) {
    const std::int32_t token = most_likely(logits);
    chosen += std::to_string(token) + ",";
    ASSAY_TRY(logits, session.feed({&token, 1}, LogitsWanted::last));
  }
  return sha256_of(std::as_bytes(std::span(chosen)));
}

Result<CheckedAnswer> check_answer(const TaskRequest& request) {
  ASSAY_TRY(const SessionOptions options, session_options(request.settings));
  ASSAY_TRY(const ModelFile file, open_model(fs::path(request.path)));
  ASSAY_TRY(const Model model, bind_model(file));
  CheckedAnswer out;
  if (options.backend != BackendKind::reference) {
    ASSAY_TRY(out.agreement, check_against_reference(model, options));
  }
  ASSAY_TRY(out.output_hash, greedy_hash(model, options));
  return out;
}

Result<> check(const TaskRequest& request, TaskReply& reply) {
  const bool is_cached = !request.cache_folder.empty() && !request.model_sha256.empty();
  const fs::path cached = fs::path(request.cache_folder) / "checks" / check_key(request);
  Result<CheckedAnswer> answer = is_cached ? read_cached<CheckedAnswer>(cached) : Result<CheckedAnswer>(Error{});
  if (!answer) {
    answer = check_answer(request);
    if (answer && is_cached) write_cached(cached, *answer);
  }
  if (!answer) return std::move(answer).error();
  reply.agreement = answer->agreement;
  reply.output_hash = answer->output_hash;
  if (!reply.agreement || reply.agreement->passed) return success();
  return Error{Code::mismatch, "", fmt::format("wrong answer against {}: {}", reply.agreement->against, reply.agreement->reason), request.path};
}

// Memory is shared with whoever else is on the machine, and its speed may change by a third within minutes: a share of it is one
// of the same seconds. Nothing under a memory limit, which is the model's alone.
std::optional<double> read_beside(const Round& measured, const TaskRequest& request, const SessionOptions& options) {
  constexpr double kSeconds = 0.15;
  if (measured.token_ms.empty() || options.backend.kind != BackendKind::cpu || request.memory_limit_bytes > 0) return std::nullopt;
  const Rate rate = measure_bandwidth(MemoryProbe::read, {.threads = options.threads, .seconds = kSeconds});
  if (rate.passes == 0) return std::nullopt;
  return rate.median / 1e9;
}

// Multiply-adds drift less, but a probe may be disturbed: one for each round, as of memory.
std::optional<double> peak_beside(const Round& measured, const Model& model, const SessionOptions& options) {
  constexpr double kSeconds = 0.1;
  if (measured.prefill_ms.empty() || options.backend.kind != BackendKind::cpu) return std::nullopt;
  const auto rate = measure_peak(bounding_peak(describe_model(model, "")), {.threads = options.threads, .seconds = kSeconds});
  if (!rate) return std::nullopt;
  return rate->best / 1e9;
}

Result<> round(const TaskRequest& request, TaskReply& reply) {
  ASSAY_TRY(OpenCase open, open_case(request));
  const MemoryPlan& plan = open.session->plan();
  reply.figures = figures_of(*open.model, plan);
  reply.planned = {.weights_bytes = plan.weights_bytes, .kv_bytes = plan.kv_bytes, .activation_bytes = plan.activation_bytes};
  reply.resolved.threads = open.session->options().threads;
  reply.resolved.isa = open.session->isa();
  reply.resolved.context = open.session->context();
  ASSAY_TRY(Round measured, measure_round(open, request.settings, request.samples));
  measured.read_gbps = read_beside(measured, request, open.session->options());  // now that memory has been measured, since it takes some
  measured.peak_gmacs = peak_beside(measured, *open.model, open.session->options());
  // A file that changed meanwhile was not the one that is named.
  for (const MappedFile& mapped : open.file->files) ASSAY_TRY_VOID(mapped.check_unchanged());
  reply.round = std::move(measured);
  return success();
}

Result<> carry_out(const TaskRequest& request, TaskReply& reply) {
  switch (request.task) {
    case TaskKind::inspect: return inspect(request, reply);
    case TaskKind::check: return check(request, reply);
    case TaskKind::round: return round(request, reply);
    case TaskKind::quality: {
      ASSAY_TRY(const SessionOptions options, session_options(request.settings));
      ASSAY_TRY(reply.quality, measure_quality(request.path, options, request.quality));
      return success();
    }
    case TaskKind::limits: reply.limits = measure_limits(request.settings.threads > 0 ? request.settings.threads : available_threads()); return success();
  }
  return success();
}

}  // namespace

TaskReply run_task(const TaskRequest& request) {
  TaskReply reply;
  reply.build = build_facts();
  Result<> done = success();
  try {
    done = carry_out(request, reply);
  } catch (const std::bad_alloc&) {
    done = Error{Code::memory, "memory", "ran out while it worked"};
  }
  if (done) return reply;
  reply.status = status_of(done.error());
  reply.reason = done.error().message();
  return reply;
}

std::string run_task_text(std::string_view text) {
  TaskReply reply;
  const auto json = parse_json(text);
  const auto request = json ? from_json<TaskRequest>(*json) : Result<TaskRequest>(json.error());
  if (request) {
    reply = run_task(*request);
  } else {
    reply.status = Status::failed;
    reply.reason = "the task cannot be read: " + request.error().message();
  }
  return to_text(to_json(reply));
}

ASSAY_JSON_HERE(TaskRequest)
ASSAY_JSON_HERE(TaskReply)

}  // namespace assay
