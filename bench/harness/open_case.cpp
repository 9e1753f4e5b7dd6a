// Opening with a clock, and the checks before anything large is allocated.
#include "bench/harness/open_case.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/model_suite.h"
#include "bench/timing.h"
#include "runtime/engine/memory_check.h"

namespace assay {

namespace {

Error unsupported(std::string subject, std::string detail) { return Error{Code::unsupported, std::move(subject), std::move(detail)}; }

Loading loading_of(std::string_view words) { return {.copy = words.starts_with("copy"), .lock = words.ends_with("locked")}; }

// Mapped weights are not counted: the system can drop and read them again, and then the numbers show it.
Result<> check_fit(const MemoryPlan& plan, WeightsAre weights, std::uint64_t limit_bytes) {
  MemorySupply supply{0, read_memory_supply().available};
  if (limit_bytes > 0) supply.available = std::min(supply.available, limit_bytes);
  ASSAY_TRY_VOID(check_memory(plan, weights, supply));
  return success();
}

}  // namespace

Status status_of(const Error& error) {
  switch (error.code) {
    case Code::mismatch: return Status::wrong_answer;
    case Code::unsupported:
    case Code::usage: return Status::unsupported;
    case Code::memory: return Status::oom;
    default: return Status::invalid_file;
  }
}

std::uint64_t positions_of(const CaseSettings& settings) {
  const std::uint64_t prompt = settings.prompt_tokens, generated = settings.generated_tokens;
  return settings.depth + (settings.is_joined ? prompt + generated : std::max(prompt, generated));
}

Result<SessionOptions> session_options(const CaseSettings& settings) {
  const auto backend = backend_from_name(settings.backend);
  if (!backend) return unsupported("backend", fmt::format("this build has no {} backend", settings.backend));
  const auto kv = kv_type_from_name(settings.kv_keys);
  if (!kv) return unsupported("cache type", fmt::format("{} is not supported", settings.kv_keys));
  if (settings.kv_keys != settings.kv_values) return unsupported("cache type", fmt::format("keys of {} with values of {} are not supported; they share one type", settings.kv_keys, settings.kv_values));
  const bool has_device = *backend == BackendKind::vulkan || *backend == BackendKind::automatic;
  if (settings.gpu_layers.value_or(0) > 0 && !has_device) return unsupported("gpu layers", fmt::format("the {} backend has no graphics card to put them on; choose --backend vulkan", settings.backend));
  if (settings.flash_attention == "off") return unsupported("flash attention", fmt::format("the {} backend always computes attention in one pass", settings.backend));
  SessionOptions out{.backend = *backend, .threads = settings.threads, .kv = *kv, .isa = settings.isa};
  if (settings.gpu_layers && has_device) out.gpu_layers = static_cast<std::uint32_t>(std::max(0, *settings.gpu_layers));
  out.batch = std::min(settings.batch, settings.ubatch);
  out.sequences = settings.sequences;
  out.context = static_cast<std::uint32_t>(std::min<std::uint64_t>(positions_of(settings), 1u << 30));
  return out;
}

Result<OpenCase> open_case(const TaskRequest& request) {
  ASSAY_TRY(SessionOptions options, session_options(request.settings));
  options.cache_folder = request.cache_folder;
  OpenCase out;
  Stopwatch watch;
  const auto lap = [&] {
    const double took = watch.milliseconds();
    watch.restart();
    return took;
  };
  ASSAY_TRY(ModelFile file, open_model(std::filesystem::path(request.path)));
  out.file = std::make_unique<ModelFile>(std::move(file));
  out.times.open_ms = lap();
  ASSAY_TRY(Model model, bind_model(*out.file, Copies::planned));
  out.model = std::make_unique<Model>(std::move(model));
  out.times.bind_ms = lap();
  if (positions_of(request.settings) > out.model->config.context)
    return Error{Code::unsupported, "context", fmt::format("{} positions are needed and the model was made for {}; choose a smaller depth or fewer tokens", positions_of(request.settings), out.model->config.context)};
  const Loading loading = loading_of(request.settings.load);
  ASSAY_TRY_VOID(check_fit(plan_memory(*out.model, {options.context, options.batch, options.kv, options.sequences}), loading.copy || loading.lock ? WeightsAre::kept : WeightsAre::mapped, request.memory_limit_bytes));
  lap();
  make_copies(*out.model, options.threads);
  out.times.bind_ms += lap();
  ASSAY_TRY_VOID(load_files(*out.file, loading));
  out.times.open_ms += lap();
  if (auto tokenizer = Tokenizer::open(*out.file)) out.tokenizer.emplace(std::move(*tokenizer));
  out.times.tokenizer_ms = lap();
  ASSAY_TRY(Session session, Session::open(*out.model, options));
  out.session.emplace(std::move(session));
  out.times.session_ms = lap();
  out.times.load_ms = out.times.open_ms + out.times.bind_ms + out.times.tokenizer_ms + out.times.session_ms;
  const std::int32_t token = 0;
  ASSAY_TRY([[maybe_unused]] const auto logits, out.session->feed({&token, 1}, LogitsWanted::last));
  out.times.first_token_ms = lap();
  out.session->rewind();
  return out;
}

CaseFigures figures_of(const Model& model, const MemoryPlan& plan) {
  CaseFigures out;
  const MacCount macs = count_macs(model);
  out.layer_macs = macs.layers;
  out.head_macs = macs.head;
  out.closing_macs = macs.closing;
  out.bytes_per_token = plan.bytes_per_token;
  out.kv_bytes_per_position = plan.kv_bytes_per_position;
  out.window_kv_bytes_per_position = plan.window_kv_bytes_per_position;
  out.window = plan.window;
  switch (bounding_peak(describe_model(model, ""))) {
    case PeakProbe::int8_dot: out.prefill_limit = "int8_dot"; break;
    case PeakProbe::bf16_dot: out.prefill_limit = "bf16_dot"; break;
    case PeakProbe::f32_fma: out.prefill_limit = "f32_fma"; break;
  }
  return out;
}

}  // namespace assay
