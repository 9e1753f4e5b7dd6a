// What readers share in AVX2: a chunk of 256 levels in eight registers, and helpers on Vec that affines.inl.h builds on.

struct Levels {
  __m256i levels[8];  // 256 values in order
};
struct Chunk : Levels {
  Vec scales, offsets;  // of 16 groups of 16
};
struct Spans : Levels {
  __m256 scales, offsets;  // of 8 groups of 32
};

inline __m256i bytes(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }
inline Vec join8(__m256 low, __m256 high) { return {low, high}; }
inline __m256 wide8(Half d) { return _mm256_cvtph_ps(_mm_set1_epi16(static_cast<short>(d.bits))); }
inline Vec wide(Half d) { return {wide8(d), wide8(d)}; }
inline __m256 negate8(__m256 v) { return _mm256_xor_ps(v, _mm256_set1_ps(-0.0f)); }  // 0 - v would lose the sign of a zero
inline Vec negate(Vec v) { return {negate8(v.low), negate8(v.high)}; }
inline Vec unsigned_bytes(__m128i v) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(v)), _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(v, 8)))};
}
inline Vec signed_bytes(__m128i v) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(v)), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(v, 8)))};
}
// Each of 8 floats twice.
inline Vec each_twice(__m256 values) {
  return {_mm256_permutevar8x32_ps(values, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)), _mm256_permutevar8x32_ps(values, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7))};
}
