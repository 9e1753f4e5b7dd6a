// Scales and offsets of whole chunks, per format; the same for every vector instruction set. Formats with a scale for 32 values or more
// say those of the eight groups of 32 (Spans), the others those of the sixteen groups of 16 (Chunk).

template <class T>
inline T word_at(const void* at) {
  T word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
inline __m128i load16(const void* at) { return _mm_loadu_si128(static_cast<const __m128i*>(at)); }
inline __m256i load32(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }
inline __m128i load8(const void* at) { return _mm_loadl_epi64(static_cast<const __m128i*>(at)); }

// The nibbles of eight bytes, low ones first.
inline __m128i nibbles(const std::uint8_t* at) {
  const __m128i row = load8(at), mask = _mm_set1_epi8(15);
  return _mm_unpacklo_epi8(_mm_and_si128(row, mask), _mm_and_si128(_mm_srli_epi16(row, 4), mask));
}
// Bits of one word by eight shifts.
inline __m256i bits_of_word(std::uint32_t word, __m256i shifts, int mask) {
  return _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(static_cast<int>(word)), shifts), _mm256_set1_epi32(mask));
}
inline __m256i steps(int step) { return _mm256_setr_epi32(0, step, 2 * step, 3 * step, 4 * step, 5 * step, 6 * step, 7 * step); }
inline __m256i twice_plus_1(__m256i n) { return _mm256_add_epi32(_mm256_add_epi32(n, n), _mm256_set1_epi32(1)); }

// The 6-bit scales and minimums of Q4_K and Q5_K as bytes, taken apart eight at a time (layout: runtime/quant).
struct KAffines {
  std::uint64_t scales, minimums;
};
inline KAffines read_k_affines(const std::uint8_t* packed) {
  const std::uint64_t both = word_at<std::uint64_t>(packed), last = word_at<std::uint32_t>(packed + 8);
  const std::uint64_t low = both & 0x3f3f3f3f3f3f3f3f, upper = (both >> 2) & 0x3030303030303030;
  const std::uint64_t scales_high = (last & 0x0f0f0f0f) | (upper & 0xffffffff), mins_high = ((last >> 4) & 0x0f0f0f0f) | upper >> 32;
  return {(low & 0xffffffff) | scales_high << 32, low >> 32 | mins_high << 32};
}
inline __m256 unsigned_bytes8(std::uint64_t eight) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(eight))));
}
inline void decode_k_affines(const std::uint8_t* packed, Half d, Half dmin, Spans& out) {
  const KAffines affines = read_k_affines(packed);
  out.scales = _mm256_mul_ps(wide8(d), unsigned_bytes8(affines.scales));
  out.offsets = negate8(_mm256_mul_ps(wide8(dmin), unsigned_bytes8(affines.minimums)));
}
inline void decode_affines(const Q4_K::Block* block, Spans& out) { decode_k_affines(block->scales, block->d, block->dmin, out); }
inline void decode_affines(const Q5_K::Block* block, Spans& out) { decode_k_affines(block->scales, block->d, block->dmin, out); }

inline void decode_affines(const Q6_K::Block* block, Chunk& out) {
  out.scales = mul(wide(block->d), signed_bytes(load16(block->scales)));
  out.offsets = zero();
}
inline void decode_affines(const Q2_K::Block* block, Chunk& out) {
  const __m128i pairs = load16(block->scales), mask = _mm_set1_epi8(15);
  out.scales = mul(wide(block->d), unsigned_bytes(_mm_and_si128(pairs, mask)));
  out.offsets = negate(mul(wide(block->dmin), unsigned_bytes(_mm_and_si128(_mm_srli_epi16(pairs, 4), mask))));
}
// The 6-bit scales of Q3_K, signed: low nibbles of groups 0-7, then of 8-15; the two high bits of four groups in a row are the same bits
// of four bytes.
inline __m128i read_signed_scales(const Q3_K::Block* block) {
  const __m128i pairs = load8(block->scales);
  const __m128i low = _mm_and_si128(_mm_unpacklo_epi64(pairs, _mm_srli_epi16(pairs, 4)), _mm_set1_epi8(15));
  const __m128i fours = _mm_srlv_epi32(_mm_set1_epi32(word_at<std::int32_t>(block->scales + 8)), _mm_setr_epi32(0, 2, 4, 6));
  const __m128i six = _mm_or_si128(low, _mm_slli_epi16(_mm_and_si128(fours, _mm_set1_epi8(3)), 4));
  return _mm_sub_epi8(six, _mm_set1_epi8(32));
}
inline __m128i read_signed_scales(const Q6_K::Block* block) { return load16(block->scales); }
inline void decode_affines(const Q3_K::Block* block, Chunk& out) {
  out.scales = mul(wide(block->d), signed_bytes(read_signed_scales(block)));
  out.offsets = zero();
}
inline void decode_affines(const TQ1_0::Block* block, Spans& out) {
  out.scales = wide8(block->d);
  out.offsets = _mm256_setzero_ps();
}
inline void decode_affines(const TQ2_0::Block* block, Spans& out) {
  out.scales = wide8(block->d);
  out.offsets = _mm256_setzero_ps();
}
inline void decode_affines(const Q1_0::Block* block, Spans& out) {
  out.scales = _mm256_blend_ps(wide8(block[0].d), wide8(block[1].d), 0xf0);
  out.offsets = _mm256_setzero_ps();
}

// F16 scales of eight blocks of 32 values; inserted one by one, because a store of halves and a wide load would wait.
template <class Block>
inline __m256 block_scales(const Block* b, Half Block::*member) {
#define ASSAY_BITS(i) static_cast<short>((b[i].*member).bits)
  const __m128i halves16 = _mm_setr_epi16(ASSAY_BITS(0), ASSAY_BITS(1), ASSAY_BITS(2), ASSAY_BITS(3), ASSAY_BITS(4), ASSAY_BITS(5), ASSAY_BITS(6), ASSAY_BITS(7));
#undef ASSAY_BITS
  return _mm256_cvtph_ps(halves16);
}
// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL
template <class Block>
requires(sizeof(Block) < 64) inline void decode_affines(const Block* block, Spans& out) {
  out.scales = block_scales(block, &Block::d);
  if constexpr (requires { &Block::min; })
    out.offsets = block_scales(block, &Block::min);
  else
    out.offsets = _mm256_setzero_ps();
}

inline void decode_affines(const IQ4_XS::Block* block, Spans& out) {
  const __m256i low = bits_of_word(word_at<std::uint32_t>(block->scales_low), steps(4), 15);
  const __m256i six = _mm256_or_si256(low, _mm256_slli_epi32(bits_of_word(block->scales_high, steps(2), 3), 4));
  out.scales = _mm256_mul_ps(wide8(block->d), _mm256_cvtepi32_ps(_mm256_sub_epi32(six, _mm256_set1_epi32(32))));
  out.offsets = _mm256_setzero_ps();
}

// MXFP4::half_scale of eight: subnormal for exponents 0 and 1.
inline void decode_affines(const MXFP4::Block* block, Spans& out) {
  std::uint64_t exponents = 0;
  for (int i = 0; i < 8; ++i) exponents |= std::uint64_t{block[i].exponent} << (8 * i);
  const __m256i exponent = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(exponents)));
  const __m256i usual = _mm256_slli_epi32(_mm256_sub_epi32(exponent, _mm256_set1_epi32(1)), 23);
  const __m256i small = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), exponent), is_small = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), exponent);
  out.scales = _mm256_castsi256_ps(_mm256_blendv_epi8(usual, small, is_small));
  out.offsets = _mm256_setzero_ps();
}

// NVFP4::half_scale of the eight groups of two blocks.
inline __m256 nvfp4_scales(const NVFP4::Block* block) {
  const std::uint64_t codes = word_at<std::uint32_t>(block[0].scales) | std::uint64_t{word_at<std::uint32_t>(block[1].scales)} << 32;
  const __m256i code = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(codes)));
  const __m256i magnitude = _mm256_and_si256(code, _mm256_set1_epi32(0x7f));
  const __m256i usual = _mm256_add_epi32(_mm256_slli_epi32(magnitude, 20), _mm256_set1_epi32(119 << 23));
  const __m256 small = _mm256_mul_ps(_mm256_cvtepi32_ps(magnitude), _mm256_set1_ps(0x1p-10f));
  const __m256i is_small = _mm256_cmpgt_epi32(_mm256_set1_epi32(8), magnitude), is_nan = _mm256_cmpeq_epi32(code, _mm256_set1_epi32(0x7f));
  const __m256 scales = _mm256_blendv_ps(_mm256_castsi256_ps(usual), small, _mm256_castsi256_ps(is_small));
  return _mm256_andnot_ps(_mm256_castsi256_ps(is_nan), scales);
}
inline void decode_affines(const NVFP4::Block* block, Chunk& out) {
  out.scales = join8(nvfp4_scales(block), nvfp4_scales(block + 2));
  out.offsets = zero();
}

// d * (0.5 + n) * factor, rounded as the formats define it.
inline Vec half_steps(Half d, Vec n, float factor) { return mul(mul(wide(d), add(splat(0.5f), n)), splat(factor)); }
inline __m256 half_steps8(Half d, __m256i n, float factor) {
  return _mm256_mul_ps(_mm256_mul_ps(wide8(d), _mm256_add_ps(_mm256_set1_ps(0.5f), _mm256_cvtepi32_ps(n))), _mm256_set1_ps(factor));
}

// The words of IQ2_XXS that hold signs and scales: the odd ones of 16.
inline __m256i iq2_xxs_words(const IQ2_XXS::Block* block) {
  const __m256 low = _mm256_castsi256_ps(load32(block->runs)), high = _mm256_castsi256_ps(load32(block->runs + 16));
  return _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xdd)), 0xd8);
}
inline void decode_affines(const IQ2_XXS::Block* block, Spans& out) {
  out.scales = half_steps8(block->d, _mm256_srli_epi32(iq2_xxs_words(block), 28), 0.25f);
  out.offsets = _mm256_setzero_ps();
}
inline void decode_affines(const IQ2_XS::Block* block, Chunk& out) {
  out.scales = half_steps(block->d, unsigned_bytes(nibbles(block->scales)), 0.25f);
  out.offsets = zero();
}
inline void decode_affines(const IQ2_S::Block* block, Chunk& out) {
  out.scales = half_steps(block->d, unsigned_bytes(nibbles(block->scales)), 0.25f);
  out.offsets = zero();
}
inline void decode_affines(const IQ3_XXS::Block* block, Spans& out) {
  out.scales = half_steps8(block->d, _mm256_srli_epi32(load32(block->signs_and_scales), 28), 0.5f);
  out.offsets = _mm256_setzero_ps();
}
inline void decode_affines(const IQ3_S::Block* block, Spans& out) {
  const __m256i n = bits_of_word(word_at<std::uint32_t>(block->scales), steps(4), 15);
  out.scales = _mm256_mul_ps(wide8(block->d), _mm256_cvtepi32_ps(twice_plus_1(n)));
  out.offsets = _mm256_setzero_ps();
}
inline void decode_affines(const IQ1_S::Block* block, Spans& out) {
  const __m256i n = _mm256_and_si256(_mm256_srli_epi32(_mm256_cvtepu16_epi32(load16(block->high)), 12), _mm256_set1_epi32(7));
  out.scales = _mm256_mul_ps(_mm256_mul_ps(wide8(block->d), _mm256_cvtepi32_ps(twice_plus_1(n))), _mm256_set1_ps(0.125f));
  out.offsets = _mm256_setzero_ps();
}
inline void decode_affines(const IQ1_M::Block* block, Chunk& out) {
  const __m256i shifts = _mm256_setr_epi32(0, 3, 6, 9, 16, 19, 22, 25);
  const auto odd = [&](int half) { return _mm256_cvtepi32_ps(twice_plus_1(bits_of_word(word_at<std::uint32_t>(block->scales + 4 * half), shifts, 7))); };
  out.scales = mul(mul(wide(IQ1_M::super_scale(*block)), join8(odd(0), odd(1))), splat(0.125f));
  out.offsets = zero();
}
