// Four floats at a time for the encoders' searches: plain vector extensions, the same results on every machine.
#pragma once

#include <cstring>

namespace assay::encode {

using Float4 = float __attribute__((vector_size(16)));
using Int4 = int __attribute__((vector_size(16)));

inline Float4 load4(const float* at) {
  Float4 out;
  std::memcpy(&out, at, sizeof out);
  return out;
}
inline void store4(float* at, Float4 value) { std::memcpy(at, &value, sizeof value); }
inline Float4 splat(float value) { return Float4{value, value, value, value}; }
inline float sum4(Float4 v) { return (v[0] + v[2]) + (v[1] + v[3]); }

inline Float4 min4(Float4 a, Float4 b) { return a < b ? a : b; }
inline Float4 max4(Float4 a, Float4 b) { return a > b ? a : b; }

// Nearest integer, ties to even, for |v| < 2^22: adding 1.5 * 2^23 leaves no bits for a fraction.
inline Float4 round4(Float4 v) {
  constexpr float kMagic = 12582912.0f;
  return (v + kMagic) - kMagic;
}
inline float round1(float v) {
  constexpr float kMagic = 12582912.0f;
  return (v + kMagic) - kMagic;
}

}  // namespace assay::encode
