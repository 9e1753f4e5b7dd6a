// What readers share in AVX-512: a chunk of 256 levels in four registers, and helpers on Vec that affines.inl.h builds on.

struct Levels {
  __m512i levels[4];  // 256 values in order, where their reader says no other
};
struct Chunk : Levels {
  Vec scales, offsets;  // of 16 groups of 16
};
struct Spans : Levels {
  __m256 scales, offsets;  // of 8 groups of 32
};

inline __m512i bytes(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
inline __m512i join(__m256i low, __m256i high) { return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1); }
inline Vec join8(__m256 low, __m256 high) { return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1); }
inline Vec wide(Half d) { return _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<short>(d.bits))); }
inline __m256 wide8(Half d) { return _mm256_cvtph_ps(_mm_set1_epi16(static_cast<short>(d.bits))); }
inline __m256 negate8(__m256 v) { return _mm256_xor_ps(v, _mm256_set1_ps(-0.0f)); }
inline Vec negate(Vec v) { return _mm512_xor_ps(v, splat(-0.0f)); }  // 0 - v would lose the sign of a zero
inline Vec unsigned_bytes(__m128i v) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(v)); }
inline Vec signed_bytes(__m128i v) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(v)); }
// Each of 8 floats twice.
inline Vec each_twice(__m256 values) {
  return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), _mm512_castps256_ps512(values));
}
