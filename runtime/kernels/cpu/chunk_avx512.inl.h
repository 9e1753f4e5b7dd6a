// What readers share in AVX-512: a chunk of 256 levels in four registers, and helpers on Vec that affines.inl.h builds on.

struct Chunk {
  __m512i levels[4];  // 256 values in order
  Vec scales;         // of 16 groups of 16
  Vec offsets;
};

inline __m512i bytes(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
inline __m512i join(__m256i low, __m256i high) { return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1); }
inline Vec join8(__m256 low, __m256 high) { return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1); }
inline Vec wide(Half d) { return _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<short>(d.bits))); }
inline __m256 wide8(Half d) { return _mm256_cvtph_ps(_mm_set1_epi16(static_cast<short>(d.bits))); }
inline Vec negate(Vec v) { return _mm512_xor_ps(v, splat(-0.0f)); }  // 0 - v would lose the sign of a zero
inline Vec unsigned_bytes(__m128i v) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(v)); }
inline Vec signed_bytes(__m128i v) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(v)); }
// Lane i takes lane i >> shift of eight.
inline Vec spread_lanes(__m256 values, unsigned shift) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_permutexvar_ps(_mm512_srl_epi32(lanes, _mm_cvtsi32_si128(static_cast<int>(shift))), _mm512_castps256_ps512(values));
}
// Each of 8 floats twice.
inline Vec each_twice(__m256 values) { return spread_lanes(values, 1); }
