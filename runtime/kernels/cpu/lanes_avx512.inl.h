// Sixteen floats as one AVX-512 register.

using Vec = __m512;
constexpr int kVectors = 32;  // how many the registers hold

inline Vec splat(float x) { return _mm512_set1_ps(x); }
// Used several times: gcc would at times keep it on the stack, or where it came from, and read it from there for every use.
inline Vec in_register(Vec v) {
  asm("" : "+v"(v));
  return v;
}
inline __m512i in_register(__m512i v) {
  asm("" : "+v"(v));
  return v;
}
inline Vec zero() { return _mm512_setzero_ps(); }
inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
inline Vec load_half(const std::uint16_t* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
inline void store_half(std::uint16_t* p, Vec v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
inline Vec load_bfloat16(const std::uint16_t* p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
}
inline Vec load_levels(const std::uint8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline Vec load_signed(const std::int8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline void store_rounded(std::int8_t* p, Vec v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
}
inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
inline Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
inline Vec divide(Vec a, Vec b) { return _mm512_div_ps(a, b); }
inline Vec maximum(Vec a, Vec b) { return _mm512_max_ps(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
inline Vec rounded(Vec a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline Vec magnitude(Vec a) { return _mm512_abs_ps(a); }

// exp by two-part reduction to [-ln2/2, ln2/2] and a degree-6 polynomial; relative error below 3e-7, 0 below about -103.
inline Vec exponential(Vec x) {
  x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-104.0f)), _mm512_set1_ps(88.7f));
  const Vec n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  Vec r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  Vec p = _mm512_set1_ps(1.0f / 720);
  for (const float c : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
  return _mm512_scalef_ps(p, n);
}
// Each pair of neighbours exchanged.
inline Vec swap_pairs(Vec v) { return _mm512_permute_ps(v, 0xb1); }
inline float reduce_add(Vec v) { return _mm512_reduce_add_ps(v); }
// The largest of magnitudes as integers order them: a NaN is above all and is not lost.
inline float reduce_top(Vec v) { return std::bit_cast<float>(_mm512_reduce_max_epu32(_mm512_castps_si512(magnitude(v)))); }
inline float reduce_top(Vec a, Vec b) {
  return std::bit_cast<float>(_mm512_reduce_max_epu32(_mm512_max_epu32(_mm512_castps_si512(magnitude(a)), _mm512_castps_si512(magnitude(b)))));
}
inline float reduce_max(Vec v) { return _mm512_reduce_max_ps(v); }
