// Loads through the engine as any program does, and measures briefly.
#include "runtime/registry/prepare_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "runtime/core/host.h"
#include "runtime/core/parallel.h"
#include "runtime/core/progress.h"

namespace assay {

namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr std::uint32_t kDefaultContext = 4096, kTrialTokens = 8;

}  // namespace

Result<std::unique_ptr<LoadedModel>> LoadedModel::open(const std::string& path, const LoadSettings& settings,
                                                       std::uint64_t bound_bytes, LoadFacts& facts) {
  std::unique_ptr<LoadedModel> out(new LoadedModel);
  out->settings_ = settings;
  LoadSettings& chosen = out->settings_;
  facts.backend = chosen.backend;
  facts.kv = chosen.kv;
  facts.batch = chosen.batch;
  facts.bound_bytes = bound_bytes;
  ASSAY_TRY(out->file_, open_model(path));
  ASSAY_TRY(out->model_, bind_model(out->file_, Copies::planned));
  const Config& config = out->model_.config;
  facts.architecture = config.arch->name;
  if (chosen.context == 0) chosen.context = std::min(config.context, kDefaultContext);
  facts.context = chosen.context;
  if (chosen.context > config.context)
    return Error{
        Code::range, "load.context",
        fmt::format("{} tokens are more than the {} that the model was trained for", chosen.context, config.context)};
  const MemoryPlan plan =
      plan_memory(out->model_, {.context = chosen.context, .batch = chosen.batch, .kv = *kv_type_from_name(chosen.kv)});
  facts.planned_bytes = plan.total_bytes();
  if (bound_bytes > 0 && facts.planned_bytes > bound_bytes)
    return Error{
        Code::memory, "",
        fmt::format("needs {} (weights {}, KV cache {}, activations {}) and may use {}",
                    format_bytes(facts.planned_bytes), format_bytes(plan.weights_bytes), format_bytes(plan.kv_bytes),
                    format_bytes(plan.activation_bytes), format_bytes(bound_bytes))};
  make_copies(out->model_, static_cast<int>(chosen.threads));
  ASSAY_TRY_VOID(out->open_session(static_cast<int>(chosen.threads)));
  facts.isa = out->session_->isa();
  // Without one the model still runs on ids.
  if (auto tokenizer = Tokenizer::open(out->file_)) out->tokenizer_.emplace(std::move(*tokenizer));
  return out;
}

Result<> LoadedModel::open_session(int threads) {
  session_.reset();
  const SessionOptions options{.backend = *backend_from_name(settings_.backend),
                               .threads = threads,
                               .context = settings_.context,
                               .batch = settings_.batch,
                               .kv = *kv_type_from_name(settings_.kv),
                               .isa = settings_.isa};
  ASSAY_TRY(Session session, Session::open(model_, options));
  session_.emplace(std::move(session));
  settings_.threads = static_cast<std::uint32_t>(session_->options().threads);
  return success();
}

// Tokens a second of a few decoded one by one, after one that warms up.
Result<double> LoadedModel::measure(std::uint32_t tokens) {
  session_->rewind();
  const std::int32_t first = 1;
  ASSAY_TRY(std::span<const float> logits, session_->feed({&first, 1}, LogitsWanted::last));
  const Clock::time_point start = Clock::now();
  std::uint32_t made = 0;
  for (; made < tokens && session_->position() < session_->context(); ++made) {
    const std::int32_t next = most_likely(logits);
    ASSAY_TRY(logits, session_->feed({&next, 1}, LogitsWanted::last));
  }
  session_->rewind();
  return static_cast<double>(made) / std::max(seconds_since(start), 1e-9);
}

Result<> LoadedModel::choose_threads(OptimiseFacts& facts) {
  std::vector<int> counts;
  for (int threads = available_threads(); threads >= 1 && counts.size() < 4; threads /= 2) counts.push_back(threads);
  // What the first count reads from the disk must not count against it: the same tokens, and with them the same experts.
  ASSAY_TRY_VOID(open_session(counts.front()));
  ASSAY_TRY([[maybe_unused]] const double cold, measure(kTrialTokens));
  for (const int threads : counts) {
    ASSAY_TRY_VOID(open_session(threads));
    ASSAY_TRY(const double speed, measure(kTrialTokens));
    facts.tried.push_back({static_cast<std::uint32_t>(threads), speed});
  }
  const auto best =
      std::max_element(facts.tried.begin(), facts.tried.end(),
                       [](const ThreadSpeed& a, const ThreadSpeed& b) { return a.decode_tps < b.decode_tps; });
  facts.threads = best->threads;
  return open_session(static_cast<int>(best->threads));
}

Result<> LoadedModel::check_health(const PrepareConfig& config, HealthFacts& facts) {
  std::vector<TokenId> tokens = tokenizer_ ? tokenizer_->encode(config.health.prompt) : std::vector<TokenId>{1, 2, 3};
  if (tokens.empty()) return Error{Code::range, "health.prompt", "gives no tokens"};
  if (tokens.size() + config.health.tokens > session_->context())
    return Error{Code::range, "health",
                 fmt::format("{} tokens of prompt and {} of answer do not fit in the context of {}", tokens.size(),
                             config.health.tokens, session_->context())};
  facts.prompt_tokens = static_cast<std::uint32_t>(tokens.size());
  session_->rewind();
  ASSAY_TRY(std::span<const float> logits, session_->feed(tokens, LogitsWanted::last));
  Sampler sampler(sampler_options(config.sampling));
  const Clock::time_point start = Clock::now();
  while (facts.tokens < config.health.tokens) {
    const auto bad = std::count_if(logits.begin(), logits.end(), [](float value) { return !std::isfinite(value); });
    if (bad > 0)
      return Error{
          Code::mismatch, "health",
          fmt::format(
              "{} of {} logits are no finite numbers at token {}; the file is damaged: assay validate names the tensor",
              bad, logits.size(), facts.tokens)};
    const TokenId next = sampler.next(logits, tokens);
    tokens.push_back(next);
    ++facts.tokens;
    if (tokenizer_ && tokenizer_->is_end(next)) break;
    if (tokenizer_) facts.text += tokenizer_->piece(next);
    ASSAY_TRY(logits, session_->feed({&tokens.back(), 1}, LogitsWanted::last));
  }
  facts.decode_tps = facts.tokens / std::max(seconds_since(start), 1e-9);
  facts.peak_bytes = read_process_memory().peak_bytes;
  session_->rewind();
  if (config.health.decode_tps > 0 && facts.decode_tps < config.health.decode_tps)
    return Error{Code::mismatch, "health.decode_tps",
                 fmt::format("{:.1f} tokens a second were decoded, and {:.1f} are wanted", facts.decode_tps,
                             config.health.decode_tps)};
  if (config.bounds.memory_bytes > 0 && facts.peak_bytes > config.bounds.memory_bytes)
    return Error{Code::memory, "bounds.memory",
                 fmt::format("{} were in use at the peak, and {} are allowed", format_bytes(facts.peak_bytes),
                             format_bytes(config.bounds.memory_bytes))};
  return success();
}

}  // namespace assay
