// One register of whole numbers or of floats in AVX-512, as products take them.

using Words = __m512i;
using Floats = __m512;
constexpr std::uint32_t kLanes = 16;  // of 32 bits
constexpr int kRegisters = 32;

inline Words load_words(const void* at) { return _mm512_load_si512(at); }
inline void store_words(void* at, Words v) { _mm512_store_si512(at, v); }
inline Words splat_word(const void* at) {
  __m512i word;
  asm("vpbroadcastd %1, %0" : "=v"(word) : "m"(*static_cast<const std::int32_t*>(at)));
  return word;
}
inline Words splat_half(int value) { return _mm512_set1_epi16(static_cast<short>(value)); }
inline Words no_words() { return _mm512_setzero_si512(); }
inline Words add_bytes(Words a, Words b) { return _mm512_add_epi8(a, b); }
inline Words add_halves(Words a, Words b) { return _mm512_add_epi16(a, b); }
inline Words add_words(Words a, Words b) { return _mm512_add_epi32(a, b); }
inline Words sub_words(Words a, Words b) { return _mm512_sub_epi32(a, b); }
// Products of neighbours, added: of bytes in 16 bits, of 16 bits in 32.
inline Words byte_pairs(Words unsigned_bytes, Words signed_bytes) { return _mm512_maddubs_epi16(unsigned_bytes, signed_bytes); }
inline Words half_pairs(Words a, Words b) { return _mm512_madd_epi16(a, b); }
inline Words bytes_to_halves(const std::uint8_t* from) { return _mm512_cvtepu8_epi16(load32(from)); }
inline Floats to_floats(Words v) { return _mm512_cvtepi32_ps(v); }
inline Floats load_lanes(const float* at) { return _mm512_load_ps(at); }
inline void store_lanes(float* at, Floats v) { _mm512_store_ps(at, v); }
inline Floats splat_lanes(float x) { return _mm512_set1_ps(x); }
// gcc gathers the terms of many steps before it adds them, which spills them all; this keeps the order.
inline void keep(Words& sum) { asm("" : "+v"(sum)); }

// sum + products of four bytes, or of two words. In mat-muls gcc moves the sums around a loop when these are intrinsics: every move costs as
// much as a multiply-add. They have add_fours() and add_half_pairs().
#ifdef ASSAY_VNNI
constexpr bool kHasVnni = true;
inline Words plus_fours(Words sum, Words unsigned_bytes, Words signed_bytes) { return _mm512_dpbusd_epi32(sum, unsigned_bytes, signed_bytes); }
inline Words plus_half_pairs(Words sum, Words a, Words b) { return _mm512_dpwssd_epi32(sum, a, b); }
inline void add_fours(Words& sum, Words unsigned_bytes, Words signed_bytes) { asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(unsigned_bytes), "v"(signed_bytes)); }
inline void add_half_pairs(Words& sum, Words a, Words b) { asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b)); }
#else
constexpr bool kHasVnni = false;
// Two products must fit in 16 bits.
inline Words plus_fours(Words sum, Words unsigned_bytes, Words signed_bytes) { return add_words(sum, half_pairs(byte_pairs(unsigned_bytes, signed_bytes), splat_half(1))); }
inline Words plus_half_pairs(Words sum, Words a, Words b) { return add_words(sum, half_pairs(a, b)); }
inline void add_half_pairs(Words& sum, Words a, Words b) {
  sum = plus_half_pairs(sum, a, b);
  keep(sum);
}
#endif

// Rows of sixteen 32-bit values to columns, in place.
inline void transpose16(__m512i* r) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 4) {
    const __m512i a = _mm512_unpacklo_epi32(r[i], r[i + 1]), b = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    const __m512i c = _mm512_unpacklo_epi32(r[i + 2], r[i + 3]), d = _mm512_unpackhi_epi32(r[i + 2], r[i + 3]);
    t[i] = _mm512_unpacklo_epi64(a, c);
    t[i + 1] = _mm512_unpackhi_epi64(a, c);
    t[i + 2] = _mm512_unpacklo_epi64(b, d);
    t[i + 3] = _mm512_unpackhi_epi64(b, d);
  }
  for (int j = 0; j < 4; ++j) {  // t[4k + j]: lanes l hold column 4l + j of rows 4k .. 4k + 3
    const __m512i a = _mm512_shuffle_i32x4(t[j], t[4 + j], 0x88), b = _mm512_shuffle_i32x4(t[j], t[4 + j], 0xdd);
    const __m512i c = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0x88), d = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0xdd);
    r[j] = _mm512_shuffle_i32x4(a, c, 0x88);
    r[8 + j] = _mm512_shuffle_i32x4(a, c, 0xdd);
    r[4 + j] = _mm512_shuffle_i32x4(b, d, 0x88);
    r[12 + j] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
}

// 16 rows of 16 words, `row_words` apart, to columns, `out_words` apart.
inline void transpose_words(const void* rows, std::size_t row_words, void* out, std::size_t out_words) {
  __m512i r[16];
  for (std::size_t i = 0; i < 16; ++i) r[i] = load_words(static_cast<const std::int32_t*>(rows) + row_words * i);
  transpose16(r);
  for (std::size_t i = 0; i < 16; ++i) store_words(static_cast<std::int32_t*>(out) + out_words * i, r[i]);
}
