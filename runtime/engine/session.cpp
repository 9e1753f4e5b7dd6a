// Session: batches in, logits out, on the backend asked for.
#include "runtime/engine/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <variant>
#include <vector>

#include "runtime/core/assert.h"
#include "runtime/engine/cpu_backend.h"
#include "runtime/engine/reference_backend.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/split_backend.h"
#include "runtime/kernels/vulkan/probe.h"

namespace assay {

struct Session::State {
  const Model& model;
  SessionOptions options;
  MemoryPlan plan;
  std::variant<std::unique_ptr<CpuBackend>, std::unique_ptr<ReferenceBackend>, std::unique_ptr<SplitBackend>> backend;
  std::vector<std::uint32_t> positions;  // of each sequence
  // Where a window's cache has forgotten what a rewind needs, or a device is lost, tokens are computed again: what was fed, and how far.
  std::vector<std::vector<std::int32_t>> fed;
  std::vector<std::uint32_t> reached;
  std::vector<float> logits;
  std::vector<std::int32_t> chosen;
  std::string note;  // why `auto` chose
  const Kernels* kernels = nullptr;
  bool may_leave_device = false;  // `auto` chose it

  CpuBackend::Options cpu_options() const { return {kernels, options.threads, options.context, options.batch, options.sequences, options.kv}; }
};

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

namespace {

constexpr std::uint32_t kDefaultContext = 4096;

constexpr std::uint32_t abilities_of(BackendKind kind) {
  switch (kind) {
    case BackendKind::reference: return ReferenceBackend::kAbilities;
    case BackendKind::vulkan: return VulkanBackend::kAbilities;
    case BackendKind::cpu:
    case BackendKind::automatic: break;
  }
  return CpuBackend::kAbilities;
}

Result<SessionOptions> resolve(const Model& model, SessionOptions options) {
  const Config& config = model.config;
  if (options.context == 0) options.context = std::min(config.context, kDefaultContext);
  ASSAY_TRY_VOID(check_abilities(model, abilities_of(options.backend.kind), name_of(options.backend.kind)));
  if (options.batch == 0) return Error{Code::usage, "batch", "is 0; give at least 1"};
  if (options.sequences == 0) return Error{Code::usage, "sequences", "is 0; give at least 1"};
  options.batch = std::min(options.batch, options.context);
  if (options.threads <= 0) options.threads = available_threads();
  if (options.backend == BackendKind::reference) {
    options.kv = KvType::f32;
    options.threads = 1;
  }
  const std::uint32_t head_size = std::max(config.head_dim, config.value_dim);
  if (head_size > kMaxHeadDim) return Error{Code::unsupported, "head size", fmt::format("{} is more than the {} that attention supports", head_size, kMaxHeadDim)};
  if (model.positions != nullptr && options.context > config.context)
    return Error{Code::usage, "context", fmt::format("{} is more than the {} positions that the model has learned", options.context, config.context)};
  return options;
}

}  // namespace

namespace {

// What `auto` comes to on this machine.
BackendDecision choose(const Model& model, const SessionOptions& options, const MemoryPlan& plan) {
  if (const auto able = check_abilities(model, VulkanBackend::kAbilities, "vulkan"); !able) return {BackendKind::cpu, 0, "the CPU: " + able.error().message()};
  const auto devices = vulkan::list_devices();
  if (!devices) return {BackendKind::cpu, 0, "the CPU: " + devices.error().detail};
  OffloadQuestion question{model.config.layers, plan, model.embedding->stored_bytes(), model.is_tied() ? 0 : model.output->stored_bytes()};
  const auto best = best_device(*devices);
  if (best) {
    const vulkan::DeviceFacts& facts = (*devices)[*best];
    if (layers_that_fit(question, usable_bytes(facts)) < model.config.layers) {
      question.cpu_read = measure_cpu_read(options.threads);
      if (auto device = vulkan::Device::open(*best))
        if (const auto read = vulkan::measure_read(*device)) question.device_read = *read;
    }
  }
  return decide_backend(question, *devices);
}

Result<std::unique_ptr<SplitBackend>> open_device(const Model& model, const SessionOptions& options, const CpuBackend::Options& cpu) {
  constexpr auto kIgnore = ignore_progress;
  const VulkanBackend::Options device{.device = options.backend.device, .context = options.context, .batch = options.batch, .sequences = options.sequences, .kv = options.kv,
                                      .cache_folder = options.cache_folder};
  return SplitBackend::open(model, options.gpu_layers.value_or(model.config.layers), cpu, device, options.progress.value_or(kIgnore));
}

}  // namespace

Result<Session> Session::open(const Model& model, const SessionOptions& asked) {
  ASSAY_TRY(SessionOptions options, resolve(model, asked));
  const Kernels* kernels = options.isa.empty() ? best_kernels() : kernels_named(options.isa);
  if (kernels == nullptr) return Error{Code::unsupported, "isa", fmt::format("\"{}\" is unknown or not supported by this processor; known: {}", options.isa, kernel_names())};
  const MemoryPlan plan = plan_memory(model, {options.context, options.batch, options.kv, options.sequences});
  std::string note;
  const bool is_automatic = options.backend == BackendKind::automatic;
  if (is_automatic) {
    BackendDecision decision = choose(model, options, plan);
    options.backend = decision.backend;
    if (options.backend == BackendKind::vulkan && !options.gpu_layers) options.gpu_layers = decision.gpu_layers;
    note = std::move(decision.why);
  }
  if (options.backend == BackendKind::vulkan && options.gpu_layers == 0u) options.backend = BackendKind::cpu;
  try {
    auto state = std::make_unique<State>(State{model, options, plan, {}, std::vector<std::uint32_t>(options.sequences), {}, {}, {}, {}, std::move(note), kernels});
    state->options.progress.reset();  // is for this call
    const CpuBackend::Options cpu = state->cpu_options();
    if (options.backend == BackendKind::vulkan) {
      auto split = open_device(model, options, cpu);
      if (!split && (!is_automatic || split.error().code == Code::interrupted)) return std::move(split).error();
      if (split) {
        state->backend = std::move(*split);
        state->may_leave_device = is_automatic;
      } else {
        state->options.backend = BackendKind::cpu;
        state->note = "the CPU: " + split.error().message();
      }
    }
    if (options.backend == BackendKind::reference)
      state->backend = std::make_unique<ReferenceBackend>(model, options.context, options.sequences);
    else if (state->options.backend == BackendKind::cpu)
      state->backend = std::make_unique<CpuBackend>(model, cpu);
    if (model.config.window > 0 || state->may_leave_device) {
      state->fed.resize(options.sequences);
      state->reached.resize(options.sequences);
    }
    return Session(std::move(state));
  } catch (const std::bad_alloc&) {
    return Error{Code::memory, "context", fmt::format("no memory for {} positions of {} sequences ({:.1f} MB of keys and values); ask for a smaller context", options.context, options.sequences, static_cast<double>(plan.kv_bytes) / 1e6)};
  }
}

namespace {

Result<> check_tokens(std::span<const std::int32_t> tokens, std::uint32_t vocabulary) {
  for (const std::int32_t token : tokens)
    if (token < 0 || static_cast<std::uint32_t>(token) >= vocabulary)
      return Error{Code::range, "token", fmt::format("id {} is outside the vocabulary of {}", token, vocabulary)};
  return success();
}

}  // namespace

// One pass on the backend there is: logits behind those there are, or what is chosen.
Result<> Session::compute_once(std::span<const std::int32_t> tokens, std::span<const Segment> segments, LogitsWanted wanted, bool chooses) {
  State& state = *state_;
  return std::visit(
      [&](auto& backend) -> Result<> {
        constexpr bool kIsDevice = requires { backend->chosen(); };
        if constexpr (kIsDevice)
          ASSAY_TRY_VOID(backend->compute(tokens, segments, wanted, chooses));
        else
          forward(state.model, *backend, tokens, segments, wanted);
        if (wanted == LogitsWanted::none) return success();
        if constexpr (kIsDevice)
          if (chooses) {
            state.chosen.assign(backend->chosen().begin(), backend->chosen().end());
            return success();
          }
        const auto rows = backend->rows(Slot::logits);
        if (!chooses) {
          state.logits.insert(state.logits.end(), rows.begin(), rows.end());
          return success();
        }
        const std::size_t vocabulary = state.model.config.vocabulary;
        state.chosen.clear();
        for (std::size_t at = 0; at < rows.size(); at += vocabulary) state.chosen.push_back(most_likely(rows.subspan(at, vocabulary)));
        return success();
      },
      state.backend);
}

Result<> Session::compute(std::span<const std::int32_t> tokens, std::span<const Segment> segments, LogitsWanted wanted, bool chooses) {
  auto done = compute_once(tokens, segments, wanted, chooses);
  if (!done && state_->may_leave_device) {
    ASSAY_TRY_VOID(leave_device(done.error()));
    done = compute_once(tokens, segments, wanted, chooses);
  }
  if (done) note_fed(tokens, segments);
  return done;
}

// Who asked for `auto` asked for an answer, not for a device: the CPU goes on, and first computes again what the device held.
Result<> Session::leave_device(const Error& error) {
  State& state = *state_;
  state.may_leave_device = false;
  state.note = "the CPU from here on: " + error.message();
  try {
    state.backend = std::make_unique<CpuBackend>(state.model, state.cpu_options());
  } catch (const std::bad_alloc&) {
    return Error{Code::memory, "context", fmt::format("no memory for {:.1f} MB of keys and values on the CPU, after a device failed: {}", static_cast<double>(state.plan.kv_bytes) / 1e6, error.message())};
  }
  state.options.backend = BackendKind::cpu;
  for (std::uint32_t sequence = 0; sequence < state.positions.size(); ++sequence) {
    const std::vector<std::int32_t> fed(state.fed[sequence].begin(), state.fed[sequence].begin() + state.positions[sequence]);
    state.positions[sequence] = state.reached[sequence] = 0;
    ASSAY_TRY_VOID(feed_batches(fed, LogitsWanted::none, sequence, false));
  }
  return success();
}

void Session::note_fed(std::span<const std::int32_t> tokens, std::span<const Segment> segments) {
  State& state = *state_;
  std::size_t at = 0;
  for (const Segment& segment : segments) {
    std::uint32_t& position = state.positions[segment.sequence];
    if (!state.fed.empty()) {
      std::vector<std::int32_t>& fed = state.fed[segment.sequence];
      fed.resize(position);
      fed.insert(fed.end(), tokens.begin() + static_cast<std::ptrdiff_t>(at), tokens.begin() + static_cast<std::ptrdiff_t>(at + segment.tokens));
      state.reached[segment.sequence] = std::max(state.reached[segment.sequence], position + segment.tokens);
    }
    position += segment.tokens;
    at += segment.tokens;
  }
}

// The caches of sliding layers hold the last positions only. A token after `position` needs the `window` - 1 before it: where they
// have been written over, everything up to there is computed again.
void Session::restore_windows(std::uint32_t sequence, std::uint32_t position) {
  State& state = *state_;
  const std::uint64_t held = std::uint64_t{state.model.config.window} + state.options.batch - 1;
  if (state.reached[sequence] + std::uint64_t{state.model.config.window} <= position + 1 + held) return;
  const std::vector<std::int32_t> fed(state.fed[sequence].begin(), state.fed[sequence].begin() + position);
  state.positions[sequence] = state.reached[sequence] = 0;
  // These tokens have been fed before; a device that fails now fails again at the next feed, and says so there.
  [[maybe_unused]] const auto done = feed(fed, LogitsWanted::none, sequence);
}

Result<> Session::feed_batches(std::span<const std::int32_t> tokens, LogitsWanted wanted, std::uint32_t sequence, bool chooses) {
  State& state = *state_;
  for (std::size_t first = 0; first < tokens.size(); first += state.options.batch) {
    const auto batch = tokens.subspan(first, std::min<std::size_t>(state.options.batch, tokens.size() - first));
    const bool is_last = first + batch.size() == tokens.size();
    const Segment segment{sequence, state.positions[sequence], static_cast<std::uint32_t>(batch.size())};
    const LogitsWanted rows = wanted == LogitsWanted::last && !is_last ? LogitsWanted::none : wanted;
    ASSAY_TRY_VOID(compute(batch, {&segment, 1}, rows, chooses && rows != LogitsWanted::none));
  }
  return success();
}

namespace {

Result<> check_room(std::size_t tokens, std::uint32_t position, std::uint32_t context) {
  if (tokens > context - position) return Error{Code::range, "context", fmt::format("{} tokens at position {} do not fit a context of {}", tokens, position, context)};
  return success();
}

}  // namespace

Result<std::span<const float>> Session::feed(std::span<const std::int32_t> tokens, LogitsWanted wanted, std::uint32_t sequence) {
  State& state = *state_;
  ASSAY_TRY_VOID(check_room(tokens.size(), position(sequence), state.options.context));
  ASSAY_TRY_VOID(check_tokens(tokens, state.model.config.vocabulary));
  state.logits.clear();
  ASSAY_TRY_VOID(feed_batches(tokens, wanted, sequence, false));
  return std::span<const float>(state.logits);
}

Result<std::int32_t> Session::feed_and_choose(std::span<const std::int32_t> tokens, std::uint32_t sequence) {
  State& state = *state_;
  if (tokens.empty()) return Error{Code::usage, "tokens", "are none; a choice follows a token"};
  ASSAY_TRY_VOID(check_room(tokens.size(), position(sequence), state.options.context));
  ASSAY_TRY_VOID(check_tokens(tokens, state.model.config.vocabulary));
  ASSAY_TRY_VOID(feed_batches(tokens, LogitsWanted::last, sequence, true));
  return state.chosen.back();
}

// A token of each sequence at its position.
Result<std::vector<Segment>> Session::next_segments(std::span<const std::int32_t> tokens) const {
  const State& state = *state_;
  if (tokens.size() > state.positions.size())
    return Error{Code::range, "sequences", fmt::format("{} tokens for {} sequences", tokens.size(), state.positions.size())};
  ASSAY_TRY_VOID(check_tokens(tokens, state.model.config.vocabulary));
  std::vector<Segment> segments;
  for (std::uint32_t sequence = 0; sequence < tokens.size(); ++sequence) {
    const std::uint32_t position = state.positions[sequence];
    if (position == state.options.context)
      return Error{Code::range, "context", fmt::format("sequence {} has filled its context of {}", sequence, state.options.context)};
    segments.push_back({sequence, position, 1});
  }
  return segments;
}

Result<std::span<const float>> Session::step(std::span<const std::int32_t> tokens) {
  ASSAY_TRY(const std::vector<Segment> segments, next_segments(tokens));
  state_->logits.clear();
  if (!tokens.empty()) ASSAY_TRY_VOID(compute(tokens, segments, LogitsWanted::all));
  return std::span<const float>(state_->logits);
}

Result<std::span<const std::int32_t>> Session::step_and_choose(std::span<const std::int32_t> tokens) {
  ASSAY_TRY(const std::vector<Segment> segments, next_segments(tokens));
  state_->chosen.clear();
  if (!tokens.empty()) ASSAY_TRY_VOID(compute(tokens, segments, LogitsWanted::all, true));
  return std::span<const std::int32_t>(state_->chosen);
}

std::uint32_t Session::position(std::uint32_t sequence) const {
  ASSAY_CHECK(sequence < state_->positions.size());
  return state_->positions[sequence];
}
std::uint32_t Session::context() const { return state_->options.context; }
void Session::rewind_one(std::uint32_t sequence, std::uint32_t position) {
  ASSAY_CHECK(sequence < state_->positions.size());
  if (position >= state_->positions[sequence]) return;
  state_->positions[sequence] = position;
  if (state_->model.config.window > 0) restore_windows(sequence, position);
}
void Session::rewind(std::uint32_t position) {
  for (std::uint32_t sequence = 0; sequence < state_->positions.size(); ++sequence) rewind_one(sequence, position);
}
const MemoryPlan& Session::plan() const { return state_->plan; }
const SessionOptions& Session::options() const { return state_->options; }

std::string_view Session::isa() const {
  if (const auto* cpu = std::get_if<std::unique_ptr<CpuBackend>>(&state_->backend)) return (*cpu)->kernels().name;
  if (const auto* split = std::get_if<std::unique_ptr<SplitBackend>>(&state_->backend)) return (*split)->computes_on();
  return "eigen";
}

const std::string& Session::backend_note() const { return state_->note; }

std::optional<DevicePass> Session::device_pass() {
  const auto* split = std::get_if<std::unique_ptr<SplitBackend>>(&state_->backend);
  return split == nullptr ? std::nullopt : std::optional((*split)->device().last_pass());
}

void Session::measure_kernels() {
  if (const auto* split = std::get_if<std::unique_ptr<SplitBackend>>(&state_->backend)) (*split)->device().measure_kernels();
}

}  // namespace assay
