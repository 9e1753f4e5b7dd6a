// Blocks of 32 values under one scale: Q4_0 to Q8_0, IQ4_NL, MXFP4.

#include "runtime/quant/encode_blocks.h"
#include "runtime/quant/encode_pack.h"

namespace assay::encode {
namespace {

constexpr int kValues = 32;

// The best of the fitted scale as stored, the plain one (extreme value to lowest level: exact for constants) and, where F16 is
// coarse, the fitted one's neighbour.
template <class Levels>
StoredScale best_stored(const Levels& levels, const Group& group, float scale, float unit) {
  StoredScale best = stored_scale(scale, unit);
  float best_error = scale_error(levels, group, best.value);
  const auto consider = [&](StoredScale other) {
    const float error = scale_error(levels, group, other.value);
    if (error >= best_error) return;
    best_error = error;
    best = other;
  };
  if (is_coarse(best.half)) consider(next_up(best, unit));
  consider(stored_scale(extreme_of(group) / levels.low, unit));
  return best;
}

template <class Block, class Levels>
bool encode_scaled(Values in, Values weights, Block& block, const Levels& levels, const ScaleSearch& search) {
  block = {};
  const Normalised<kValues> x(in);
  const Group group{x.values, weights, kValues};
  std::uint8_t codes[kValues];
  StoredScale scale;
  if (x.unit != 0) scale = best_stored(levels, group, fit_scale(levels, group, search).scale, x.unit);
  if (!is_finite(scale.half)) return false;
  levels.codes(group, scale.value, codes);
  block.d = scale.half;
  put_levels(block, codes);
  return true;
}

struct LineBlock {
  StoredScale scale, min;
  float error = 0;
};

// The offset that suits the stored scale best, itself stored.
LineBlock store_line(const Group& group, int max_level, StoredScale scale, float offset, float unit) {
  LineBlock out{scale, stored_scale(offset, unit), 0};
  LineCheck check = check_line(group, max_level, scale.value, out.min.value);
  out.error = check.error;
  const StoredScale moved = stored_scale(out.min.value + check.mean_rest, unit);
  if (moved.half.bits == out.min.half.bits) return out;
  check = check_line(group, max_level, scale.value, moved.value);
  if (check.error < out.error) out = {scale, moved, check.error};
  return out;
}

template <class F>
bool encode_line(Values in, Values weights, typename F::Block& block) {
  block = {};
  const Normalised<kValues> x(in);
  if (x.unit == 0) return true;
  const Group group{x.values, weights, kValues};
  const LineFit fit = fit_line(group, {.max_level = F::kMaxLevel, .steps = 4, .step = 0.25f, .refinements = 2});
  const StoredScale scale = stored_scale(fit.scale, x.unit);
  LineBlock best = store_line(group, F::kMaxLevel, scale, fit.offset, x.unit);
  if (is_coarse(scale.half)) {
    const LineBlock up = store_line(group, F::kMaxLevel, next_up(scale, x.unit), fit.offset, x.unit);
    if (up.error < best.error) best = up;
  }
  if (!is_finite(best.scale.half) || !is_finite(best.min.half)) return false;
  block.d = best.scale.half;
  block.min = best.min.half;
  std::uint8_t levels[kValues];
  line_levels(group, F::kMaxLevel, {best.scale.value, best.min.value, 0}, levels);
  put_levels(block, levels);
  return true;
}

constexpr ScaleSearch kQuickSearch{.steps = 3, .step = 0.3f, .refinements = 1};

}  // namespace

bool encode_block(Values values, Values weights, Q4_0::Block& block) {
  return encode_scaled(values, weights, block, PlainLevels{{-8, 7}}, kQuickSearch);
}
bool encode_block(Values values, Values weights, Q5_0::Block& block) {
  return encode_scaled(values, weights, block, PlainLevels{{-16, 15}}, kQuickSearch);
}
bool encode_block(Values values, Values weights, Q4_1::Block& block) { return encode_line<Q4_1>(values, weights, block); }
bool encode_block(Values values, Values weights, Q5_1::Block& block) { return encode_line<Q5_1>(values, weights, block); }

bool encode_block(Values values, Values weights, IQ4_NL::Block& block) {
  return encode_scaled(values, weights, block, TableLevels{{iq4_values()}}, {.steps = 5, .mirrored = 5, .step = 3.0f, .refinements = 2});
}

bool encode_block(Values values, Values weights, Q8_0::Block& block) {
  float largest = 0;
  for (int i = 0; i < kValues; ++i) largest = std::max(largest, std::fabs(values[i]));
  const Half half = to_half(largest / 127.0f);
  if (!is_finite(half)) return false;
  if (is_coarse(half)) return encode_scaled(values, weights, block, PlainLevels{{-127, 127}}, kQuickSearch);
  block.d = half;
  const float inverse = 1.0f / to_float(half);
  for (int i = 0; i < kValues; i += 4) {
    const Float4 level = min4(max4(round4(load4(values + i) * inverse), splat(-127)), splat(127));
    for (int j = 0; j < 4; ++j) block.values[i + j] = static_cast<std::int8_t>(level[j]);
  }
  return true;
}

// The scale is a power of two and so the search is over whole exponents: the largest value, in 1..2 after normalising, may be
// met by level 12 or 8, or clipped a little for the good of the others.
bool encode_block(Values values, Values weights, MXFP4::Block& block) {
  constexpr TableLevels kLevels{{{-12, -8, -6, -4, -3, -2, -1, 0, 0, 1, 2, 3, 4, 6, 8, 12}}};
  constexpr std::array<std::uint8_t, 16> kCodes = {15, 14, 13, 12, 11, 10, 9, 0, 0, 1, 2, 3, 4, 5, 6, 7};
  block = {};
  const Normalised<kValues> x(values);
  if (x.unit == 0) return true;
  const Group group{x.values, weights, kValues};
  const int exponent = std::ilogb(x.unit);
  float best_error = INFINITY, best_scale = 0;
  for (const int down : {3, 4, 2}) {
    const int code = exponent - down + 128;
    if (code < 0 || code > 254) continue;
    const float scale = std::ldexp(1.0f, -down);
    const float error = scale_error(kLevels, group, scale);
    if (error >= best_error) continue;
    best_error = error;
    best_scale = scale;
    block.exponent = static_cast<std::uint8_t>(code);
  }
  std::uint8_t codes[kValues];
  kLevels.codes(group, best_scale, codes);
  for (std::uint8_t& code : codes) code = kCodes[code];
  put_nibbles32(block.codes, codes);
  return true;
}

}  // namespace assay::encode
