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

namespace assay {

std::optional<BackendKind> backend_from_name(std::string_view name) {
  if (name == "cpu") return BackendKind::cpu;
  if (name == "reference") return BackendKind::reference;
  return std::nullopt;
}

std::string_view name_of(BackendKind kind) { return kind == BackendKind::cpu ? "cpu" : "reference"; }

struct Session::State {
  const Model& model;
  SessionOptions options;
  MemoryPlan plan;
  std::variant<std::unique_ptr<CpuBackend>, std::unique_ptr<ReferenceBackend>> backend;
  std::vector<std::uint32_t> positions;  // of each sequence
  // Where a window's cache has forgotten what a rewind needs, tokens are computed again: what was fed, and how far.
  std::vector<std::vector<std::int32_t>> fed;
  std::vector<std::uint32_t> reached;
  std::vector<float> logits;
};

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

namespace {

constexpr std::uint32_t kDefaultContext = 4096;

Result<SessionOptions> resolve(const Model& model, SessionOptions options) {
  const Config& config = model.config;
  if (options.context == 0) options.context = std::min(config.context, kDefaultContext);
  ASSAY_TRY_VOID(check_abilities(model, options.backend == BackendKind::reference ? ReferenceBackend::kAbilities : CpuBackend::kAbilities, name_of(options.backend)));
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

Result<Session> Session::open(const Model& model, const SessionOptions& asked) {
  ASSAY_TRY(const SessionOptions options, resolve(model, asked));
  const Kernels* kernels = options.isa.empty() ? best_kernels() : kernels_named(options.isa);
  if (kernels == nullptr) return Error{Code::unsupported, "isa", fmt::format("\"{}\" is unknown or not supported by this processor; known: avx512_bf16, avx512, avx2, scalar", options.isa)};
  const MemoryPlan plan = plan_memory(model, {options.context, options.batch, options.kv, options.sequences});
  try {
    auto state = std::make_unique<State>(State{model, options, plan, {}, std::vector<std::uint32_t>(options.sequences), {}, {}, {}});
    if (options.backend == BackendKind::reference)
      state->backend = std::make_unique<ReferenceBackend>(model, options.context, options.sequences);
    else
      state->backend = std::make_unique<CpuBackend>(model, CpuBackend::Options{kernels, options.threads, options.context, options.batch, options.sequences, options.kv});
    if (model.config.window > 0) {
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

void Session::compute(std::span<const std::int32_t> tokens, std::span<const Segment> segments, LogitsWanted wanted) {
  State& state = *state_;
  std::visit(
      [&](auto& backend) {
        forward(state.model, *backend, tokens, segments, wanted);
        if (wanted == LogitsWanted::none) return;
        const auto rows = backend->rows(Slot::logits);
        state.logits.insert(state.logits.end(), rows.begin(), rows.end());
      },
      state.backend);
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
  const bool is_done = static_cast<bool>(feed(fed, LogitsWanted::none, sequence));
  ASSAY_CHECK(is_done);  // these tokens have been fed before
}

Result<std::span<const float>> Session::feed(std::span<const std::int32_t> tokens, LogitsWanted wanted, std::uint32_t sequence) {
  State& state = *state_;
  ASSAY_CHECK(sequence < state.positions.size());
  const std::uint32_t& position = state.positions[sequence];
  if (tokens.size() > state.options.context - position)
    return Error{Code::range, "context", fmt::format("{} tokens at position {} do not fit a context of {}", tokens.size(), position, state.options.context)};
  ASSAY_TRY_VOID(check_tokens(tokens, state.model.config.vocabulary));

  state.logits.clear();
  for (std::size_t first = 0; first < tokens.size(); first += state.options.batch) {
    const auto batch = tokens.subspan(first, std::min<std::size_t>(state.options.batch, tokens.size() - first));
    const bool is_last = first + batch.size() == tokens.size();
    const Segment segment{sequence, position, static_cast<std::uint32_t>(batch.size())};
    compute(batch, {&segment, 1}, wanted == LogitsWanted::last && !is_last ? LogitsWanted::none : wanted);
  }
  return std::span<const float>(state.logits);
}

Result<std::span<const float>> Session::step(std::span<const std::int32_t> tokens) {
  State& state = *state_;
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
  state.logits.clear();
  if (!tokens.empty()) compute(tokens, segments, LogitsWanted::all);
  return std::span<const float>(state.logits);
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
  if (!state_->fed.empty()) restore_windows(sequence, position);
}
void Session::rewind(std::uint32_t position) {
  for (std::uint32_t sequence = 0; sequence < state_->positions.size(); ++sequence) rewind_one(sequence, position);
}
const MemoryPlan& Session::plan() const { return state_->plan; }
const SessionOptions& Session::options() const { return state_->options; }

std::string_view Session::isa() const {
  if (const auto* cpu = std::get_if<std::unique_ptr<CpuBackend>>(&state_->backend)) return (*cpu)->kernels().name;
  return "eigen";
}

}  // namespace assay
