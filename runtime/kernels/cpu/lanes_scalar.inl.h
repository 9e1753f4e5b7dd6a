// Sixteen floats as plain C++: the lanes every kernel is written on, without any instruction set.

struct Vec {
  float lane[16];
};
constexpr int kVectors = 8;  // no registers to count: as in AVX2

inline Vec splat(float x) {
  Vec v;
  for (float& lane : v.lane) lane = x;
  return v;
}
inline Vec in_register(Vec v) { return v; }
inline Vec zero() { return splat(0); }
inline Vec load(const float* p) {
  Vec v;
  std::memcpy(v.lane, p, sizeof v.lane);
  return v;
}
inline void store(float* p, Vec v) { std::memcpy(p, v.lane, sizeof v.lane); }
inline void stream(float* p, Vec v) { store(p, v); }
// Weights may lie at odd addresses: halves are copied out before they are read.
inline Vec load_half(const std::uint16_t* p) {
  std::uint16_t halves[16];
  std::memcpy(halves, p, sizeof halves);
  Vec v;
  for (int i = 0; i < 16; ++i) v.lane[i] = to_float(Half{halves[i]});
  return v;
}
inline void store_half(std::uint16_t* p, Vec v) {
  for (int i = 0; i < 16; ++i) p[i] = to_half(v.lane[i]).bits;
}
inline Vec load_bfloat16(const std::uint16_t* p) {
  std::uint16_t halves[16];
  std::memcpy(halves, p, sizeof halves);
  Vec v;
  for (int i = 0; i < 16; ++i) v.lane[i] = to_float(BFloat16{halves[i]});
  return v;
}
inline Vec load_levels(const std::uint8_t* p) {
  Vec v;
  for (int i = 0; i < 16; ++i) v.lane[i] = p[i];
  return v;
}
inline Vec load_signed(const std::int8_t* p) {
  Vec v;
  for (int i = 0; i < 16; ++i) v.lane[i] = p[i];
  return v;
}
inline void store_rounded(std::int8_t* p, Vec v) {
  for (int i = 0; i < 16; ++i) p[i] = static_cast<std::int8_t>(std::lrintf(v.lane[i]));
}
#define ASSAY_LANEWISE(name, expression)  \
  inline Vec name(Vec a, Vec b) {         \
    for (int i = 0; i < 16; ++i) {        \
      const float x = a.lane[i], y = b.lane[i]; \
      a.lane[i] = expression;             \
    }                                     \
    return a;                             \
  }
ASSAY_LANEWISE(add, x + y)
ASSAY_LANEWISE(sub, x - y)
ASSAY_LANEWISE(mul, x * y)
ASSAY_LANEWISE(divide, x / y)
ASSAY_LANEWISE(maximum, x > y ? x : y)
#undef ASSAY_LANEWISE
inline Vec fma(Vec a, Vec b, Vec c) { return add(mul(a, b), c); }
inline Vec rounded(Vec a) {
  for (float& lane : a.lane) lane = std::nearbyint(lane);
  return a;
}
inline Vec magnitude(Vec a) {
  for (float& lane : a.lane) lane = std::fabs(lane);
  return a;
}
inline Vec exponential(Vec a) {
  for (float& lane : a.lane) lane = std::exp(lane);
  return a;
}
inline Vec swap_pairs(Vec v) {
  for (int i = 0; i < 16; i += 2) std::swap(v.lane[i], v.lane[i + 1]);
  return v;
}
inline float reduce_add(Vec v) {
  float sum = 0;
  for (float lane : v.lane) sum += lane;
  return sum;
}
// The largest of magnitudes as integers order them: a NaN is above all and is not lost.
inline float reduce_top(Vec v) {
  std::uint32_t top = 0;
  for (float lane : v.lane) top = std::max(top, std::bit_cast<std::uint32_t>(lane) & 0x7fffffffu);
  return std::bit_cast<float>(top);
}
inline float reduce_top(Vec a, Vec b) {
  const float x = reduce_top(a), y = reduce_top(b);
  return std::bit_cast<float>(std::max(std::bit_cast<std::uint32_t>(x), std::bit_cast<std::uint32_t>(y)));
}
inline float reduce_max(Vec v) {
  float top = v.lane[0];
  for (float lane : v.lane) top = lane > top ? lane : top;
  return top;
}
