// Blocks of 256 values in groups whose scales are small integers under one or two F16 super-scales: the K formats, IQ4_XS.
//
// First every group is fitted on its own; then the super-scales are chosen so that the largest group scale takes the largest
// integer; then each group picks the integers that serve it best under the super-scales as stored; then the super-scales are
// fitted again to all 256 values with everything else fixed, and the last two steps repeat while the error falls.

#include "runtime/quant/encode_blocks.h"
#include "runtime/quant/encode_pack.h"

namespace assay::encode {
namespace {

constexpr int kValues = 256;
constexpr int kMostGroups = 16;
constexpr int kRounds = 2;

template <int Count>
Group group_at(const float* values, const float* weights, int g) {
  return {values + g * Count, weights + g * Count, Count};
}

// ---- formats with a scale and a minimum per group: Q2_K, Q4_K, Q5_K

template <class F>
struct LineFormat {
  static constexpr int kGroups = kValues / F::kGroup;
  static constexpr int kTop = std::is_same_v<F, Q2_K> ? 15 : 63;  // largest integer scale and minimum
};

struct LineSuper {
  StoredScale d, dmin;
  int scales[kMostGroups] = {}, mins[kMostGroups] = {};
  float error = 0;
};

template <class F>
struct LineEncoder {
  using Facts = LineFormat<F>;
  const float* values;
  const float* weights;
  float unit;
  LineFit fits[kMostGroups];

  Group group(int g) const { return group_at<F::kGroup>(values, weights, g); }

  void fit_groups() {
    const LineSearch search{.max_level = F::kMaxLevel, .offset_at_most_zero = true, .steps = 8, .step = 0.125f, .refinements = 2};
    for (int g = 0; g < Facts::kGroups; ++g) fits[g] = fit_line(group(g), search);
  }

  // The integers for group g under d and dmin: the three scales around the fitted one, each with its best minimum.
  void place_group(LineSuper& s, int g) const {
    const Group x = group(g);
    const LineFit& fit = fits[g];
    const int wanted = s.d.value > 0 ? static_cast<int>(std::lround(std::min(fit.scale / s.d.value, 63.0f))) : 0;
    float best = INFINITY;
    const auto consider = [&](int scale, int min) {
      const LineCheck check = check_line(x, F::kMaxLevel, s.d.value * static_cast<float>(scale), -s.dmin.value * static_cast<float>(min));
      if (check.error < best) {
        best = check.error;
        s.scales[g] = scale;
        s.mins[g] = min;
      }
      return check.mean_rest;
    };
    for (int scale = std::max(wanted - 1, 0); scale <= std::min(wanted + 1, Facts::kTop); ++scale) {
      // Keep the middle of the line where the fit had it.
      const float middle = fit.offset + (fit.scale - s.d.value * static_cast<float>(scale)) * (0.5f * F::kMaxLevel);
      const int min = min_code(s, -middle);
      const float rest = consider(scale, min);
      const int moved = min_code(s, s.dmin.value * static_cast<float>(min) - rest);
      if (moved != min) consider(scale, moved);
    }
    s.error += best;
  }
  static int min_code(const LineSuper& s, float min) {
    if (!(s.dmin.value > 0) || !(min > 0)) return 0;
    return static_cast<int>(std::lround(std::min(min / s.dmin.value, static_cast<float>(Facts::kTop))));
  }

  LineSuper place(StoredScale d, StoredScale dmin) const {
    LineSuper out{.d = d, .dmin = dmin};
    for (int g = 0; g < Facts::kGroups; ++g) place_group(out, g);
    return out;
  }

  LineFit line(const LineSuper& s, int g) const {
    return {s.d.value * static_cast<float>(s.scales[g]), -s.dmin.value * static_cast<float>(s.mins[g]), 0};
  }

  // d and dmin by least squares over the block, integers and levels as they are.
  LineSuper refitted(const LineSuper& s) const {
    PairSums sums;
    for (int g = 0; g < Facts::kGroups; ++g)
      sums.add(group(g), F::kMaxLevel, line(s, g), static_cast<float>(s.scales[g]), static_cast<float>(s.mins[g]));
    const double determinant = sums.uu * sums.vv - sums.uv * sums.uv;
    double d = s.d.value, dmin = s.dmin.value;
    if (determinant > 1e-9 * sums.uu * sums.vv) {
      d = (sums.xu * sums.vv - sums.uv * sums.xv) / determinant;
      dmin = (sums.uv * sums.xu - sums.uu * sums.xv) / determinant;
    } else if (sums.uu > 0) {
      d = (sums.xu + dmin * sums.uv) / sums.uu;
    }
    if (!(d >= 0) || !(dmin >= 0)) return s;
    return place(stored_scale(static_cast<float>(d), unit), stored_scale(static_cast<float>(dmin), unit));
  }

  LineSuper solve() const {
    float scale = 0, min = 0;
    for (int g = 0; g < Facts::kGroups; ++g) {
      scale = std::max(scale, fits[g].scale);
      min = std::max(min, -fits[g].offset);
    }
    const StoredScale d = stored_scale(scale / Facts::kTop, unit);
    const StoredScale dmin = stored_scale(min / Facts::kTop, unit);
    LineSuper best = place(d, dmin);
    const auto consider = [&](const LineSuper& other) {
      if (!(other.error < best.error)) return false;
      best = other;
      return true;
    };
    const bool d_is_coarse = is_coarse(d.half), dmin_is_coarse = is_coarse(dmin.half) && min > 0;
    if (d_is_coarse) consider(place(next_up(d, unit), dmin));
    if (dmin_is_coarse) consider(place(d, next_up(dmin, unit)));
    if (d_is_coarse && dmin_is_coarse) consider(place(next_up(d, unit), next_up(dmin, unit)));
    for (int round = 0; round < kRounds; ++round)
      if (!consider(refitted(best))) break;
    return best;
  }
};

template <class F>
bool encode_lines(Values in, Values weights, typename F::Block& block) {
  block = {};
  const Normalised<kValues> x(in);
  if (x.unit == 0) return true;
  LineEncoder<F> encoder{x.values, weights, x.unit, {}};
  encoder.fit_groups();
  const LineSuper best = encoder.solve();
  if (!is_finite(best.d.half) || !is_finite(best.dmin.half)) return false;
  block.d = best.d.half;
  block.dmin = best.dmin.half;
  put_scales(block, best.scales, best.mins);
  std::uint8_t levels[kValues];
  for (int g = 0; g < LineFormat<F>::kGroups; ++g)
    line_levels(encoder.group(g), F::kMaxLevel, encoder.line(best, g), levels + g * F::kGroup);
  put_levels(block, levels);
  return true;
}

// ---- formats with a signed scale per group: Q3_K, Q6_K, IQ4_XS

struct ScaleSuper {
  StoredScale d;
  int scales[kMostGroups] = {};
  float error = 0;
};

// `Low` is the most negative integer scale; there is one fewer on the other side.
template <class Levels, int Count, int Low>
struct ScaleEncoder {
  static constexpr int kGroups = kValues / Count;
  Levels levels;
  const float* values;
  const float* weights;
  float unit;
  ScaleFit fits[kMostGroups];

  Group group(int g) const { return group_at<Count>(values, weights, g); }

  void fit_groups(const ScaleSearch& search) {
    for (int g = 0; g < kGroups; ++g) fits[g] = fit_scale(levels, group(g), search);
  }

  ScaleSuper place(StoredScale d) const {
    ScaleSuper out{.d = d};
    for (int g = 0; g < kGroups; ++g) {
      const float ratio = d.value != 0 ? fits[g].scale / d.value : 0.0f;
      const int wanted = static_cast<int>(std::lround(std::clamp(ratio, static_cast<float>(Low), static_cast<float>(-Low - 1))));
      float best = INFINITY;
      for (int scale = std::max(wanted - 1, Low); scale <= std::min(wanted + 1, -Low - 1); ++scale) {
        const float error = scale_error(levels, group(g), d.value * static_cast<float>(scale));
        if (error >= best) continue;
        best = error;
        out.scales[g] = scale;
      }
      out.error += best;
    }
    return out;
  }

  ScaleSuper refitted(const ScaleSuper& s) const {
    double xu = 0, uu = 0;
    for (int g = 0; g < kGroups; ++g) {
      if (s.scales[g] == 0) continue;
      const double u = s.scales[g];
      const ScaleSums sums = scale_sums(levels, group(g), 1.0f / (s.d.value * static_cast<float>(s.scales[g])));
      xu += u * sums.value_level;
      uu += u * u * sums.level_level;
    }
    if (uu <= 0) return s;
    return place(stored_scale(static_cast<float>(xu / uu), unit));
  }

  ScaleSuper solve() const {
    float extreme = 0;
    for (int g = 0; g < kGroups; ++g)
      if (std::fabs(fits[g].scale) > std::fabs(extreme)) extreme = fits[g].scale;
    const StoredScale d = stored_scale(extreme / Low, unit);
    ScaleSuper best = place(d);
    const auto consider = [&](const ScaleSuper& other) {
      if (!(other.error < best.error)) return false;
      best = other;
      return true;
    };
    if (is_coarse(d.half)) consider(place(next_up(d, unit)));
    for (const float largest : {Low + 1.0f, Low + 2.0f}) consider(place(stored_scale(extreme / largest, unit)));
    for (int round = 0; round < kRounds; ++round)
      if (!consider(refitted(best))) break;
    return best;
  }
};

template <class Levels, int Count, int Low, class Block>
bool encode_scales(Values in, Values weights, Block& block, const Levels& levels, const ScaleSearch& search) {
  block = {};
  const Normalised<kValues> x(in);
  ScaleEncoder<Levels, Count, Low> encoder{levels, x.values, weights, x.unit, {}};
  ScaleSuper best;
  if (x.unit != 0) {
    encoder.fit_groups(search);
    best = encoder.solve();
  }
  if (!is_finite(best.d.half)) return false;
  block.d = best.d.half;
  put_scales(block, best.scales);
  std::uint8_t codes[kValues] = {};
  for (int g = 0; g < kValues / Count; ++g) {
    const float scale = best.d.value * static_cast<float>(best.scales[g]);
    levels.codes(encoder.group(g), scale, codes + g * Count);
  }
  put_levels(block, codes);
  return true;
}

}  // namespace

bool encode_block(Values values, Values weights, Q2_K::Block& block) { return encode_lines<Q2_K>(values, weights, block); }
bool encode_block(Values values, Values weights, Q4_K::Block& block) { return encode_lines<Q4_K>(values, weights, block); }
bool encode_block(Values values, Values weights, Q5_K::Block& block) { return encode_lines<Q5_K>(values, weights, block); }

bool encode_block(Values values, Values weights, Q3_K::Block& block) {
  const PlainLevels levels{{-4, 3}};
  return encode_scales<PlainLevels, Q3_K::kGroup, -32>(values, weights, block, levels, {.steps = 6, .mirrored = 5, .step = 0.15f, .refinements = 2});
}
bool encode_block(Values values, Values weights, Q6_K::Block& block) {
  const PlainLevels levels{{-32, 31}};
  return encode_scales<PlainLevels, Q6_K::kGroup, -128>(values, weights, block, levels, {.steps = 5, .step = 0.2f, .refinements = 2});
}
bool encode_block(Values values, Values weights, IQ4_XS::Block& block) {
  const TableLevels levels{{iq4_values()}};
  return encode_scales<TableLevels, IQ4_XS::kGroup, -32>(values, weights, block, levels, {.steps = 5, .mirrored = 5, .step = 3.0f, .refinements = 2});
}

}  // namespace assay::encode
