// One block at a time: the encoder of every block format, and what they share.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "runtime/core/half.h"
#include "runtime/quant/encode_fit.h"
#include "runtime/quant/iq4_nl.h"
#include "runtime/quant/iq4_xs.h"
#include "runtime/quant/mxfp4.h"
#include "runtime/quant/q2_k.h"
#include "runtime/quant/q3_k.h"
#include "runtime/quant/q4_0.h"
#include "runtime/quant/q4_1.h"
#include "runtime/quant/q4_k.h"
#include "runtime/quant/q5_0.h"
#include "runtime/quant/q5_1.h"
#include "runtime/quant/q5_k.h"
#include "runtime/quant/q6_k.h"
#include "runtime/quant/q8_0.h"

namespace assay::encode {

// Finite values and their weights in, one block out. False: the values are too large for the block's F16 scale.
using Values = const float*;
bool encode_block(Values values, Values weights, Q4_0::Block& block);
bool encode_block(Values values, Values weights, Q4_1::Block& block);
bool encode_block(Values values, Values weights, Q5_0::Block& block);
bool encode_block(Values values, Values weights, Q5_1::Block& block);
bool encode_block(Values values, Values weights, Q8_0::Block& block);
bool encode_block(Values values, Values weights, IQ4_NL::Block& block);
bool encode_block(Values values, Values weights, MXFP4::Block& block);
bool encode_block(Values values, Values weights, Q2_K::Block& block);
bool encode_block(Values values, Values weights, Q3_K::Block& block);
bool encode_block(Values values, Values weights, Q4_K::Block& block);
bool encode_block(Values values, Values weights, Q5_K::Block& block);
bool encode_block(Values values, Values weights, Q6_K::Block& block);
bool encode_block(Values values, Values weights, IQ4_XS::Block& block);

// IQ4_NL's table as floats.
inline std::array<float, 16> iq4_values() {
  std::array<float, 16> values{};
  for (std::size_t i = 0; i < 16; ++i) values[i] = static_cast<float>(IQ4_NL::kValues[i]);
  return values;
}

// A block's values divided by their unit.
template <int N>
struct Normalised {
  float values[N];
  float unit;

  explicit Normalised(const float* in) : unit(unit_of({in, in, N})) {
    const float inverse = unit == 0 ? 0.0f : 1.0f / unit;
    for (int i = 0; i < N; ++i) values[i] = in[i] * inverse;
  }
};

// A scale as the file keeps it, and the value that has in normalised terms.
struct StoredScale {
  Half half;
  float value = 0;
};
inline bool is_finite(Half half) { return (half.bits & 0x7c00u) != 0x7c00u; }
inline StoredScale stored_scale(float scale, float unit) {
  const Half half = to_half(scale * unit);
  return {half, to_float(half) / unit};
}
// F16 keeps few digits of a tiny scale: the neighbour further from zero may serve better. Normal scales have no such choice.
inline bool is_coarse(Half half) { return (half.bits & 0x7c00u) == 0; }
inline StoredScale next_up(StoredScale scale, float unit) {
  const Half half{static_cast<std::uint16_t>(scale.half.bits + 1)};
  return {half, to_float(half) / unit};
}

}  // namespace assay::encode
