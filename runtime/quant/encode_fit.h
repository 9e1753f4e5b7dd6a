// The searches behind the encoders: the scale (and offset) that puts a group of values nearest to a set of levels.
//
// Everything minimises  sum of weight * (value - scale * level - offset)^2.  For given levels the best scale and offset have a
// closed form (weighted least squares); for a given scale and offset the best levels are the nearest ones. The searches start
// from several scales, alternate the two steps and keep the best.
#pragma once

#include <array>
#include <cstdint>

#include "runtime/quant/encode_lanes.h"

namespace assay::encode {

// A group of values with their weights; `count` is a multiple of 4.
struct Group {
  const float* values;
  const float* weights;
  int count;
};

// Nearest integer level in [low, high].
struct IntegerLevels {
  float low, high;
  Float4 operator()(Float4 v) const { return min4(max4(round4(v), splat(low)), splat(high)); }
};

// Nearest entry of a rising table of 16 values.
struct CodebookLevels {
  std::array<float, 16> values;
  float low = values.front(), high = values.back();
  Float4 operator()(Float4 v) const {
    Float4 out = splat(values[0]);
    for (std::size_t i = 1; i < values.size(); ++i) {
      out += v > splat((values[i - 1] + values[i]) * 0.5f) ? splat(values[i] - values[i - 1]) : Float4{};
    }
    return out;
  }
};

// Levels whose codes are level - low.
struct PlainLevels : IntegerLevels {
  void codes(const Group& group, float scale, std::uint8_t* out) const {
    const float inverse = scale != 0 ? 1.0f / scale : 0.0f;
    for (int i = 0; i < group.count; i += 4) {
      const Float4 level = (*this)(load4(group.values + i) * inverse) - low;
      for (int j = 0; j < 4; ++j) out[i + j] = static_cast<std::uint8_t>(level[j]);
    }
  }
};

// Levels out of a table of 16; codes are places in the table.
struct TableLevels : CodebookLevels {
  void codes(const Group& group, float scale, std::uint8_t* out) const {
    const float inverse = scale != 0 ? 1.0f / scale : 0.0f;
    for (int i = 0; i < group.count; ++i) {
      const float value = group.values[i] * inverse;
      std::uint8_t code = 0;
      for (std::size_t j = 1; j < 16; ++j) code = static_cast<std::uint8_t>(code + (value > (values[j - 1] + values[j]) * 0.5f));
      out[i] = code;
    }
  }
};

struct ScaleFit {
  float scale = 0;
  float gain = 0;  // how much of sum(weight * value^2) the fit explains: more is better
};

// Sums for the closed form of the scale when levels are the nearest to value * inverse.
struct ScaleSums {
  float value_level = 0, level_level = 0;
};
template <class Levels>
ScaleSums scale_sums(const Levels& levels, const Group& group, float inverse) {
  Float4 value_level{}, level_level{};
  for (int i = 0; i < group.count; i += 4) {
    const Float4 value = load4(group.values + i);
    const Float4 level = levels(value * inverse);
    const Float4 weighted = load4(group.weights + i) * level;
    value_level += weighted * value;
    level_level += weighted * level;
  }
  return {sum4(value_level), sum4(level_level)};
}

// sum of weight * (value - scale * level)^2 with the nearest levels.
template <class Levels>
float scale_error(const Levels& levels, const Group& group, float scale) {
  const float inverse = scale != 0 ? 1.0f / scale : 0.0f;
  Float4 error{};
  for (int i = 0; i < group.count; i += 4) {
    const Float4 value = load4(group.values + i);
    const Float4 rest = value - scale * levels(value * inverse);
    error += load4(group.weights + i) * rest * rest;
  }
  return sum4(error);
}

float extreme_of(const Group& group);  // the value of largest magnitude, with its sign

// The power of two to divide a group by so that its largest magnitude lies in 1..2: squares then neither overflow nor vanish.
// 0 when all is zero, or so small that no scale can hold it.
float unit_of(const Group& group);

struct ScaleSearch {
  int steps = 9;        // starting scales on either side of the one that takes the extreme value to the lowest level
  int mirrored = 0;     // and of the one that takes it to the highest
  float step = 0.1f;    // in levels
  int refinements = 2;  // alternations after the search
};

// Best scale without offset. Scale 0 when all values are 0.
template <class Levels>
ScaleFit fit_scale(const Levels& levels, const Group& group, const ScaleSearch& search) {
  const float extreme = extreme_of(group);
  if (extreme == 0) return {};
  ScaleFit best;
  float best_inverse = 0;
  const auto consider = [&](float inverse) {
    const ScaleSums sums = scale_sums(levels, group, inverse);
    if (sums.level_level <= 0) return false;
    const float gain = sums.value_level * sums.value_level / sums.level_level;
    if (gain <= best.gain) return false;
    best = {sums.value_level / sums.level_level, gain};
    best_inverse = inverse;
    return true;
  };
  for (int i = -search.steps; i <= search.steps; ++i) consider((levels.low + static_cast<float>(i) * search.step) / extreme);
  for (int i = -search.mirrored; i <= search.mirrored; ++i) consider((levels.high + static_cast<float>(i) * search.step) / extreme);
  for (int i = 0; i < search.refinements && best.scale != 0; ++i)
    if (!consider(1.0f / best.scale)) break;
  return best;
}

struct LineFit {
  float scale = 0;   // >= 0
  float offset = 0;
  float error = 0;
};

struct LineSearch {
  int max_level = 15;
  bool offset_at_most_zero = false;  // formats that store a minimum >= 0 and subtract it
  int steps = 10;
  float step = 0.1f;
  int refinements = 2;
};

// Best scale and offset for levels 0..max_level.
LineFit fit_line(const Group& group, const LineSearch& search);

// Levels 0..max_level of the line scale * level + offset: the error and the mean of what is left.
struct LineCheck {
  float error = 0;
  float mean_rest = 0;  // adding this to the offset is the best change for these levels
};
LineCheck check_line(const Group& group, int max_level, float scale, float offset);

// Writes the nearest levels themselves.
void line_levels(const Group& group, int max_level, LineFit line, std::uint8_t* out);

// Sums for the closed form of two factors a, b in  value ~ a * u - b * v, where u and v differ by group (super-scales).
struct PairSums {
  double uu = 0, uv = 0, vv = 0, xu = 0, xv = 0;
  void add(const Group& group, int max_level, LineFit line, float u_per_level, float v);
};

}  // namespace assay::encode
