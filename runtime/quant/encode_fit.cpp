// The search for a line (scale and offset), and the pieces shared by formats with super-scales.
#include "runtime/quant/encode_fit.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace assay::encode {
namespace {

struct Range {
  float low, high;
};
Range range_of(const Group& group) {
  Float4 low = load4(group.values), high = low;
  for (int i = 4; i < group.count; i += 4) {
    low = min4(low, load4(group.values + i));
    high = max4(high, load4(group.values + i));
  }
  return {std::min(std::min(low[0], low[1]), std::min(low[2], low[3])), std::max(std::max(high[0], high[1]), std::max(high[2], high[3]))};
}

Float4 levels_on(Float4 value, float inverse, float offset, int max_level) {
  return min4(max4(round4((value - offset) * inverse), splat(0)), splat(static_cast<float>(max_level)));
}

// Sums over one group, values taken relative to `center` so that the closed forms do not cancel.
struct Constants {
  float center = 0, w = 0, wx = 0, wxx = 0;
};
Constants constants_of(const Group& group, float center) {
  Float4 w{}, wx{}, wxx{};
  for (int i = 0; i < group.count; i += 4) {
    const Float4 weight = load4(group.weights + i);
    const Float4 value = load4(group.values + i) - center;
    w += weight;
    wx += weight * value;
    wxx += weight * value * value;
  }
  return {center, sum4(w), sum4(wx), sum4(wxx)};
}

struct LevelSums {
  float l = 0, ll = 0, xl = 0;
};
LevelSums level_sums(const Group& group, int max_level, float inverse, float offset, float center) {
  Float4 l{}, ll{}, xl{};
  for (int i = 0; i < group.count; i += 4) {
    const Float4 value = load4(group.values + i);
    const Float4 level = levels_on(value, inverse, offset, max_level);
    const Float4 weighted = load4(group.weights + i) * level;
    l += weighted;
    ll += weighted * level;
    xl += weighted * (value - center);
  }
  return {sum4(l), sum4(ll), sum4(xl)};
}

// Least squares over scale and offset for fixed levels; through the origin where the offset would have to be positive.
LineFit solve_line(const Constants& c, const LevelSums& s, bool offset_at_most_zero) {
  const float determinant = c.w * s.ll - s.l * s.l;
  if (determinant > 0) {
    const float scale = (c.w * s.xl - c.wx * s.l) / determinant;
    const float offset = (s.ll * c.wx - s.l * s.xl) / determinant;
    if (scale > 0 && (!offset_at_most_zero || offset + c.center <= 0))
      return {scale, offset + c.center, c.wxx - scale * s.xl - offset * c.wx};
    if (scale <= 0) return {0, 0, INFINITY};
  }
  if (!offset_at_most_zero) return {0, 0, INFINITY};
  const float xl = s.xl + c.center * s.l;  // uncentred
  if (s.ll <= 0 || xl <= 0) return {0, 0, INFINITY};
  const float wxx = c.wxx + 2 * c.center * c.wx + c.center * c.center * c.w;
  return {xl / s.ll, 0, wxx - xl * xl / s.ll};
}

}  // namespace

float extreme_of(const Group& group) {
  const Range range = range_of(group);
  return -range.low > range.high ? range.low : range.high;
}

float unit_of(const Group& group) {
  const float largest = std::fabs(extreme_of(group));
  if (largest < 0x1p-100f) return 0;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(largest) & 0x7f800000u);  // the exponent alone
}

LineFit fit_line(const Group& group, const LineSearch& search) {
  const Range range = range_of(group);
  const float low = search.offset_at_most_zero ? std::min(range.low, 0.0f) : range.low;
  const float width = range.high - low;
  if (width <= 0) {  // all values equal; (for minima >= 0: all equal and not positive)
    return {0, low, 0};
  }
  const float center = search.offset_at_most_zero && low == 0 ? 0.0f : 0.5f * (range.low + range.high);
  const Constants constants = constants_of(group, center);
  const float top = static_cast<float>(search.max_level);

  LineFit best{width / top, low, 0};
  best.error = check_line(group, search.max_level, best.scale, best.offset).error;
  const auto consider = [&](float inverse, float offset) {
    const LineFit fit = solve_line(constants, level_sums(group, search.max_level, inverse, offset, center), search.offset_at_most_zero);
    if (!(fit.error < best.error)) return false;
    best = fit;
    return true;
  };
  for (int i = -search.steps; i <= search.steps; ++i) consider((top + static_cast<float>(i) * search.step) / width, low);
  for (int i = 0; i < search.refinements; ++i)
    if (!consider(1.0f / best.scale, best.offset)) break;
  return best;
}

LineCheck check_line(const Group& group, int max_level, float scale, float offset) {
  const float inverse = scale != 0 ? 1.0f / scale : 0.0f;
  Float4 error{}, rest_sum{}, weight_sum{};
  for (int i = 0; i < group.count; i += 4) {
    const Float4 value = load4(group.values + i);
    const Float4 weight = load4(group.weights + i);
    const Float4 rest = (value - offset) - scale * levels_on(value, inverse, offset, max_level);
    const Float4 weighted = weight * rest;
    error += weighted * rest;
    rest_sum += weighted;
    weight_sum += weight;
  }
  const float weight = sum4(weight_sum);
  return {sum4(error), weight > 0 ? sum4(rest_sum) / weight : 0.0f};
}

void line_levels(const Group& group, int max_level, LineFit line, std::uint8_t* out) {
  const float inverse = line.scale != 0 ? 1.0f / line.scale : 0.0f;
  for (int i = 0; i < group.count; i += 4) {
    const Float4 level = levels_on(load4(group.values + i), inverse, line.offset, max_level);
    for (int j = 0; j < 4; ++j) out[i + j] = static_cast<std::uint8_t>(level[j]);
  }
}

void PairSums::add(const Group& group, int max_level, LineFit line, float u_per_level, float v) {
  const float inverse = line.scale != 0 ? 1.0f / line.scale : 0.0f;
  Float4 w{}, l{}, ll{}, x{}, xl{};
  for (int i = 0; i < group.count; i += 4) {
    const Float4 value = load4(group.values + i);
    const Float4 level = levels_on(value, inverse, line.offset, max_level);
    const Float4 weight = load4(group.weights + i);
    w += weight;
    l += weight * level;
    ll += weight * level * level;
    x += weight * value;
    xl += weight * level * value;
  }
  const double u = u_per_level, vv_ = v;
  uu += u * u * sum4(ll);
  uv += u * vv_ * sum4(l);
  vv += vv_ * vv_ * sum4(w);
  xu += u * sum4(xl);
  xv += vv_ * sum4(x);
}

}  // namespace assay::encode
