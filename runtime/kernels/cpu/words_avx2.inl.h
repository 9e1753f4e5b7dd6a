// One register of whole numbers or of floats in AVX2, as products take them.

using Words = __m256i;
using Floats = __m256;
constexpr std::uint32_t kLanes = 8;  // of 32 bits
constexpr int kRegisters = 16;

inline Words load_words(const void* at) { return _mm256_load_si256(static_cast<const __m256i*>(at)); }
inline void store_words(void* at, Words v) { _mm256_store_si256(static_cast<__m256i*>(at), v); }
inline Words splat_word(const void* at) { return _mm256_set1_epi32(word_at<std::int32_t>(at)); }
inline Words splat_half(int value) { return _mm256_set1_epi16(static_cast<short>(value)); }
inline Words no_words() { return _mm256_setzero_si256(); }
inline Words add_bytes(Words a, Words b) { return _mm256_add_epi8(a, b); }
inline Words add_halves(Words a, Words b) { return _mm256_add_epi16(a, b); }
inline Words add_words(Words a, Words b) { return _mm256_add_epi32(a, b); }
inline Words sub_words(Words a, Words b) { return _mm256_sub_epi32(a, b); }
// Products of neighbours, added: of bytes in 16 bits, of 16 bits in 32.
inline Words byte_pairs(Words unsigned_bytes, Words signed_bytes) { return _mm256_maddubs_epi16(unsigned_bytes, signed_bytes); }
inline Words half_pairs(Words a, Words b) { return _mm256_madd_epi16(a, b); }
inline Words bytes_to_halves(const std::uint8_t* from) { return _mm256_cvtepu8_epi16(load16(from)); }
inline Floats to_floats(Words v) { return _mm256_cvtepi32_ps(v); }
inline Floats load_lanes(const float* at) { return _mm256_load_ps(at); }
inline void store_lanes(float* at, Floats v) { _mm256_store_ps(at, v); }
inline Floats splat_lanes(float x) { return _mm256_set1_ps(x); }
inline Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
// gcc gathers the terms of many steps before it adds them, which spills them all; this keeps the order.
inline void keep(Words& sum) { asm("" : "+x"(sum)); }

// sum += products of four bytes, or of two words.
#ifdef ASSAY_VNNI  // the prefix that names the encoding of its instructions
constexpr bool kHasVnni = true;
inline void add_fours(Words& sum, Words unsigned_bytes, Words signed_bytes) { asm(ASSAY_VNNI " vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(unsigned_bytes), "x"(signed_bytes)); }
inline void add_half_pairs(Words& sum, Words a, Words b) { asm(ASSAY_VNNI " vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b)); }
#else
constexpr bool kHasVnni = false;
// Two products must fit in 16 bits.
inline void add_fours(Words& sum, Words unsigned_bytes, Words signed_bytes) { sum = add_words(sum, half_pairs(byte_pairs(unsigned_bytes, signed_bytes), splat_half(1))); }
inline void add_half_pairs(Words& sum, Words a, Words b) {
  sum = add_words(sum, half_pairs(a, b));
  keep(sum);
}
#endif

// 8 rows of 8 words, `row_words` apart, to columns, `out_words` apart.
inline void transpose_words(const void* rows, std::size_t row_words, void* out, std::size_t out_words) {
  __m256i r[8], t[8];
  for (std::size_t i = 0; i < 8; ++i) r[i] = load_words(static_cast<const std::int32_t*>(rows) + row_words * i);
  for (int i = 0; i < 8; i += 4) {
    const __m256i a = _mm256_unpacklo_epi32(r[i], r[i + 1]), b = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    const __m256i c = _mm256_unpacklo_epi32(r[i + 2], r[i + 3]), d = _mm256_unpackhi_epi32(r[i + 2], r[i + 3]);
    t[i] = _mm256_unpacklo_epi64(a, c), t[i + 1] = _mm256_unpackhi_epi64(a, c);
    t[i + 2] = _mm256_unpacklo_epi64(b, d), t[i + 3] = _mm256_unpackhi_epi64(b, d);
  }
  std::int32_t* to = static_cast<std::int32_t*>(out);
  for (std::size_t j = 0; j < 4; ++j) {
    store_words(to + out_words * j, _mm256_permute2x128_si256(t[j], t[4 + j], 0x20));
    store_words(to + out_words * (4 + j), _mm256_permute2x128_si256(t[j], t[4 + j], 0x31));
  }
}
