// The scaling rules of rotary position embeddings.
#include "runtime/engine/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "runtime/quant/dequantize.h"

namespace assay {

namespace {

// Wavelengths shorter than original / high keep their frequency, longer than original / low are slowed by the factor.
double llama3_frequency(double frequency, const RopeConfig& rope) {
  const double wavelength = 2.0 * std::numbers::pi / frequency;
  const double original = rope.original_context;
  if (wavelength < original / rope.high_frequency_factor) return frequency;
  if (wavelength > original / rope.low_frequency_factor) return frequency / rope.factor;
  const double smooth = (original / wavelength - rope.low_frequency_factor) / (rope.high_frequency_factor - rope.low_frequency_factor);
  return (1.0 - smooth) * frequency / rope.factor + smooth * frequency;
}

// The pair index that turns `rotations` times over the original context.
double yarn_correction(double rotations, const RopeConfig& rope) {
  return rope.dims * std::log(rope.original_context / (rotations * 2.0 * std::numbers::pi)) / (2.0 * std::log(static_cast<double>(rope.base)));
}

double yarn_frequency(double frequency, std::uint32_t pair, const RopeConfig& rope) {
  const double last = rope.dims - 1.0;
  double low = yarn_correction(rope.beta_fast, rope), high = yarn_correction(rope.beta_slow, rope);
  if (rope.rounds_ramp) low = std::floor(low), high = std::ceil(high);
  low = std::clamp(low, 0.0, last), high = std::clamp(high, 0.0, last);
  const double ramp = std::clamp((pair - low) / std::max(0.001, high - low), 0.0, 1.0);
  return frequency / rope.factor * ramp + frequency * (1.0 - ramp);
}

}  // namespace

void RopeTable::angles(std::uint32_t position, float* cosines, float* sines) const {
  for (std::size_t pair = 0; pair < frequencies.size(); ++pair) {
    const double angle = position * frequencies[pair];
    cosines[pair] = static_cast<float>(std::cos(angle)) * magnitude;
    sines[pair] = static_cast<float>(std::sin(angle)) * magnitude;
  }
}

namespace {

RopeTable make_table(const RopeConfig& rope, std::span<const float> divisors) {
  RopeTable table;
  table.frequencies.resize(rope.dims / 2);
  if (rope.scaling == RopeScaling::yarn && !rope.scales_scores) table.magnitude = rope.attention_factor * (1.0f + 0.1f * std::log(rope.factor));
  if (rope.scaling == RopeScaling::longrope) table.magnitude = rope.attention_factor;
  for (std::uint32_t pair = 0; pair < rope.dims / 2; ++pair) {
    double frequency = std::pow(static_cast<double>(rope.base), -2.0 * pair / rope.dims);
    if (!divisors.empty()) frequency /= divisors[pair];
    switch (rope.scaling) {
      case RopeScaling::none:
      case RopeScaling::longrope: break;
      case RopeScaling::linear: frequency /= rope.factor; break;
      case RopeScaling::llama3: frequency = llama3_frequency(frequency, rope); break;
      case RopeScaling::yarn: frequency = yarn_frequency(frequency, pair, rope); break;
    }
    table.frequencies[pair] = frequency;
  }
  return table;
}

}  // namespace

RopeTable make_rope_table(const Model& model, std::uint32_t context) {
  const RopeConfig& rope = model.config.rope;
  std::vector<float> divisors;
  if (rope.scaling == RopeScaling::longrope) {
    divisors = context > rope.original_context ? rope.long_factors : rope.short_factors;
  } else if (model.rope_factors != nullptr) {
    divisors.resize(rope.dims / 2);
    dequantize_row(*model.rope_factors, 0, divisors);
  }
  return make_table(rope, divisors);
}

RopeTable make_local_rope_table(const Config& config) { return config.arch->has_local_rope ? make_table(config.local_rope, {}) : RopeTable{}; }

}  // namespace assay
