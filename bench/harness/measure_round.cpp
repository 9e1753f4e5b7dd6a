// The loop of measure_round(): prompt in, tokens out, a clock around each step.
#include "bench/harness/measure_round.h"

#include <algorithm>

#include "bench/check.h"
#include "bench/harness/sample_text.h"
#include "bench/harness/surroundings.h"
#include "bench/statistics.h"
#include "bench/timing.h"
#include "runtime/engine/sampler.h"

namespace assay {

namespace {

constexpr double kRoundSeconds = 0.25;   // measure at least that long where samples are short
constexpr double kLongSeconds = 2;       // from here on one sample is enough: rounds repeat it
constexpr std::size_t kMostSamples = 64;
constexpr std::size_t kLeastSamples = 3;
constexpr std::size_t kKeptTokenTimes = 256;
constexpr std::size_t kWarmupTokens = 8;

class Measurement {
 public:
  Measurement(OpenCase& open, const CaseSettings& settings) : open_(open), settings_(settings) {}

  Result<Round> run(std::uint32_t samples) {
    tokens_ = sample_tokens(*open_.model, positions_of(settings_), benchmark_text());
    const std::span<const std::int32_t> all(tokens_);
    prompt_ = all.subspan(settings_.depth, settings_.prompt_tokens);
    const std::uint32_t first = settings_.depth + (settings_.is_joined ? settings_.prompt_tokens : 0);
    generated_ = all.subspan(first, settings_.generated_tokens);
    if (open_.tokenizer) text_ = open_.tokenizer->decode(prompt_);

    for (std::uint32_t sequence = 0; sequence < settings_.sequences; ++sequence) ASSAY_TRY_VOID(feed(all.first(settings_.depth), LogitsWanted::none, sequence));
    ASSAY_TRY_VOID(warm_up());
    if (settings_.is_joined) ASSAY_TRY_VOID(feed_others(prompt_));
    const MachineMoment before = read_moment();
    energy_.joules();
    if (settings_.is_joined) {
      ASSAY_TRY_VOID(repeat(samples, round_.prefill_ms, [&] { return sample_joined(); }));
    } else {
      if (!prompt_.empty()) ASSAY_TRY_VOID(repeat(samples, round_.prefill_ms, [&] { return sample_prompt(); }));
      if (!generated_.empty()) ASSAY_TRY_VOID(repeat(samples, round_.decode_ms, [&] { return sample_tokens_after(settings_.depth); }));
    }
    round_.surroundings = between(before, read_moment());
    ASSAY_TRY_VOID(look_at_device());
    finish();
    return std::move(round_);
  }

 private:
  Result<> feed(std::span<const std::int32_t> tokens, LogitsWanted wanted, std::uint32_t sequence = 0) {
    for (std::size_t at = 0; at < tokens.size(); at += settings_.batch) {
      const auto part = tokens.subspan(at, std::min<std::size_t>(settings_.batch, tokens.size() - at));
      const bool is_last = at + part.size() == tokens.size();
      ASSAY_TRY(logits_, open_.session->feed(part, is_last ? wanted : LogitsWanted::none, sequence));
    }
    return success();
  }

  // The prompt is measured in the first sequence; the others are brought to the same place off the clock.
  Result<> feed_others(std::span<const std::int32_t> tokens) {
    for (std::uint32_t sequence = 1; sequence < settings_.sequences; ++sequence) ASSAY_TRY_VOID(feed(tokens, LogitsWanted::none, sequence));
    return success();
  }

  // One token more, off the clock: with timestamps, and run twice so that it is a replay.
  Result<> look_at_device() {
    if (!open_.session->device_pass()) return success();
    open_.session->measure_kernels();
    for (int pass = 0; pass < 2; ++pass) {
      open_.session->rewind(settings_.depth);
      ASSAY_TRY_VOID(choose_all(0));
    }
    round_.device = open_.session->device_pass();
    return success();
  }

  // The same token in every sequence, each of which reads its own cache; and of each the likeliest next one.
  Result<> choose_all(std::int32_t token) {
    step_.assign(settings_.sequences, token);
    ASSAY_TRY(const std::span<const std::int32_t> chosen, open_.session->step_and_choose(step_));
    chosen_ = chosen.back();
    return success();
  }

  Result<> warm_up() {
    ASSAY_TRY_VOID(feed(prompt_.first(std::min<std::size_t>(prompt_.size(), settings_.ubatch)), LogitsWanted::last));
    open_.session->rewind(settings_.depth);
    for (const std::int32_t token : generated_.first(std::min(generated_.size(), kWarmupTokens))) ASSAY_TRY_VOID(choose_all(token));
    open_.session->rewind(settings_.depth);
    round_.warmups = 1;
    return success();
  }

  template <class Sample>
  Result<> repeat(std::uint32_t wanted, const std::vector<double>& done, Sample&& sample) {
    const Stopwatch watch;
    const auto is_enough = [&] {
      if (wanted > 0) return done.size() >= wanted;
      if (done.size() >= kMostSamples) return true;
      return watch.seconds() > (done.size() >= kLeastSamples ? kRoundSeconds : kLongSeconds);
    };
    do ASSAY_TRY_VOID(sample());
    while (!is_enough());
    return success();
  }

  Result<> sample_prompt() {
    open_.session->rewind_one(0, settings_.depth);
    const Stopwatch whole;
    if (open_.tokenizer) {
      (void)open_.tokenizer->encode(text_, {.add_special = false, .parse_special = false});
      tokenize_ms_.push_back(whole.milliseconds());
    }
    const Stopwatch prefill;
    ASSAY_TRY_VOID(feed(prompt_, LogitsWanted::last));
    round_.prefill_ms.push_back(prefill.milliseconds());
    const Stopwatch sampling;
    chosen_ = most_likely(logits_);
    sample_ms_.push_back(sampling.milliseconds());
    round_.ttft_ms.push_back(whole.milliseconds());
    add(prompt_joules_);
    return success();
  }

  // The tokens of the text, not those chosen: every build computes the same.
  Result<> sample_tokens_after(std::uint32_t position) {
    open_.session->rewind(position);
    const Stopwatch whole;
    for (const std::int32_t token : generated_) {
      const Stopwatch step;
      ASSAY_TRY_VOID(choose_all(token));
      token_ms_.push_back(step.milliseconds());
    }
    round_.decode_ms.push_back(whole.milliseconds());
    add(generated_joules_);
    return success();
  }

  Result<> sample_joined() {
    ASSAY_TRY_VOID(sample_prompt());
    return sample_tokens_after(settings_.depth + settings_.prompt_tokens);
  }

  void add(std::optional<double>& joules) {
    if (const auto more = energy_.joules()) joules = joules.value_or(0) + *more;
  }

  void finish() {
    if (!tokenize_ms_.empty()) round_.tokenize_ms = median(tokenize_ms_);
    if (!sample_ms_.empty()) round_.sample_ms = median(sample_ms_);
    round_.token_ms.assign(token_ms_.begin(), token_ms_.begin() + static_cast<std::ptrdiff_t>(std::min(token_ms_.size(), kKeptTokenTimes)));
    round_.latency = summarize_latency(token_ms_);
    round_.start = open_.times;
    round_.memory = read_process_memory();
    round_.time = utc_time();
    round_.energy.sensor = energy_.sensor();
    const auto per_token = [](const std::optional<double>& joules, std::size_t samples, std::size_t tokens) -> std::optional<double> {
      if (!joules || samples * tokens == 0) return std::nullopt;
      return *joules / static_cast<double>(samples * tokens);
    };
    round_.energy.joules_per_prompt_token = per_token(prompt_joules_, round_.prefill_ms.size(), prompt_.size());
    round_.energy.joules_per_generated_token = per_token(generated_joules_, round_.decode_ms.size(), generated_.size());
    if (energy_.has_sensor() && round_.surroundings.seconds > 0)
      round_.energy.watts = (prompt_joules_.value_or(0) + generated_joules_.value_or(0)) / round_.surroundings.seconds;
  }

  OpenCase& open_;
  const CaseSettings& settings_;
  std::vector<std::int32_t> tokens_, step_;
  std::span<const std::int32_t> prompt_, generated_;
  std::span<const float> logits_;
  std::int32_t chosen_ = 0;
  std::string text_;
  std::vector<double> tokenize_ms_, sample_ms_, token_ms_;
  EnergyMeter energy_;
  std::optional<double> prompt_joules_, generated_joules_;
  Round round_;
};

}  // namespace

Result<Round> measure_round(OpenCase& open, const CaseSettings& settings, std::uint32_t samples) { return Measurement(open, settings).run(samples); }

}  // namespace assay
