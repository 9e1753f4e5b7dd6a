// AVX-512 readers of the grid formats: IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S.
// Grid points are fetched one by one: two loads a cycle beat the gather instructions of many processors.

template <std::size_t Points>
inline __m128i two_points(const Grid8<Points>& grid, std::size_t a, std::size_t b) {
  const __m128i first = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(grid[a].data()));
  return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(first), reinterpret_cast<const __m64*>(grid[b].data())));
}
// The points of eight indices side by side.
template <std::size_t Points, class Index>
inline __m512i eight_points(const Grid8<Points>& grid, const Index* at) {
  return join(_mm256_set_m128i(two_points(grid, at[2], at[3]), two_points(grid, at[0], at[1])),
              _mm256_set_m128i(two_points(grid, at[6], at[7]), two_points(grid, at[4], at[5])));
}
template <std::size_t Points, class Index>
inline __m128i four_points(const Grid4<Points>& grid, const Index* at) {
  const auto point = [&](int i) { return word_at<std::int32_t>(grid[at[i]].data()); };
  return _mm_setr_epi32(point(0), point(1), point(2), point(3));
}
template <std::size_t Points, class Index>
inline __m512i sixteen_points(const Grid4<Points>& grid, const Index* at) {
  return join(_mm256_set_m128i(four_points(grid, at + 4), four_points(grid, at)), _mm256_set_m128i(four_points(grid, at + 12), four_points(grid, at + 8)));
}

// Levels of 64 magnitudes: below the bias where the bit of `signs` is set.
template <class F>
inline __m512i signed_levels(__m512i magnitudes, std::uint64_t signs) {
  const __m512i bias = bytes(F::kBias);
  return _mm512_mask_sub_epi8(_mm512_add_epi8(bias, magnitudes), signs, bias, magnitudes);
}
// even_signs() of eight sets of seven bits, one in each byte.
inline std::uint64_t even_signs8(std::uint64_t sevens) {
  std::uint64_t odd = sevens ^ (sevens >> 4);
  odd ^= odd >> 2;
  odd ^= odd >> 1;
  return sevens | (odd & 0x0101010101010101) << 7;
}
// The same from two words with four sets each in their low 28 bits.
inline std::uint64_t even_signs_of(std::uint32_t first, std::uint32_t second) {
  return even_signs8(_pdep_u64((first & 0x0fffffffu) | std::uint64_t{second & 0x0fffffffu} << 28, 0x7f7f7f7f7f7f7f7f));
}

// d * (0.5 + n) * factor, rounded as the formats define it.
inline Vec half_steps(Half d, Vec n, float factor) { return mul(mul(wide(d), add(splat(0.5f), n)), splat(factor)); }

inline void decode(const IQ2_XXS::Block* block, Chunk& out) {
  const auto* at = reinterpret_cast<const std::uint8_t*>(block->runs);  // per group: four indices, then signs and scale
  for (int i = 0; i < 4; ++i, at += 16) {
    const std::uint8_t indices[8] = {at[0], at[1], at[2], at[3], at[8], at[9], at[10], at[11]};
    out.levels[i] = signed_levels<IQ2_XXS>(eight_points(kIq2XxsGrid, indices), even_signs_of(word_at<std::uint32_t>(at + 4), word_at<std::uint32_t>(at + 12)));
  }
  const __m256i scales = _mm512_cvtepi64_epi32(_mm512_srli_epi64(_mm512_loadu_si512(block->runs), 60));
  out.scales = half_steps(block->d, each_twice(_mm256_cvtepi32_ps(scales)), 0.25f);
  out.offsets = zero();
}

inline void decode(const IQ2_XS::Block* block, Chunk& out) {
  for (int i = 0; i < 4; ++i) {
    std::uint16_t indices[8];
    for (int k = 0; k < 8; ++k) indices[k] = block->points[8 * i + k] & 511;
    const __m128i sevens = _mm_srli_epi16(load16(block->points + 8 * i), 9);
    const std::uint64_t signs = even_signs8(static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_packus_epi16(sevens, sevens))));
    out.levels[i] = signed_levels<IQ2_XS>(eight_points(kIq2XsGrid, indices), signs);
  }
  out.scales = half_steps(block->d, unsigned_bytes(nibbles(word_at<std::uint64_t>(block->scales))), 0.25f);
  out.offsets = zero();
}

// 32 grid indices by way of memory: vector code makes them, scalar loads use them.
struct Indices {
  alignas(64) std::uint16_t at[32];
  explicit Indices(__m512i words) { _mm512_store_si512(at, words); }
};
// Word i is byte i / 4, shifted right by `step` * (i % 4), masked, and moved to bit 8.
inline __m512i high_bits(__m512i quarter_words, int step, int mask) {
  const __m512i shifts = _mm512_set1_epi64(static_cast<long long>(step) << 16 | static_cast<long long>(2 * step) << 32 | static_cast<long long>(3 * step) << 48);
  return _mm512_slli_epi16(_mm512_and_si512(_mm512_srlv_epi16(quarter_words, shifts), _mm512_set1_epi16(static_cast<short>(mask))), 8);
}
// Each of eight words four times.
inline __m512i each_four_times(__m128i words) {
  const __m512i order = _mm512_set_epi16(7, 7, 7, 7, 6, 6, 6, 6, 5, 5, 5, 5, 4, 4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  return _mm512_permutexvar_epi16(order, _mm512_castsi128_si512(words));
}
inline __m512i low_bits(const std::uint8_t* low) { return _mm512_cvtepu8_epi16(load32(low)); }

inline void decode(const IQ2_S::Block* block, Chunk& out) {
  const __m512i high = each_four_times(_mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(block->high))));
  const Indices indices(_mm512_or_si512(low_bits(block->low), high_bits(high, 2, 3)));
  for (int i = 0; i < 4; ++i) out.levels[i] = signed_levels<IQ2_S>(eight_points(kIq2SGrid, indices.at + 8 * i), word_at<std::uint64_t>(block->signs + 8 * i));
  out.scales = half_steps(block->d, unsigned_bytes(nibbles(word_at<std::uint64_t>(block->scales))), 0.25f);
  out.offsets = zero();
}

inline void decode(const IQ3_XXS::Block* block, Chunk& out) {
  for (int i = 0; i < 4; ++i) {
    const std::uint8_t* words = block->signs_and_scales + 8 * i;
    out.levels[i] = signed_levels<IQ3_XXS>(sixteen_points(kIq3XxsGrid, block->points + 16 * i), even_signs_of(word_at<std::uint32_t>(words), word_at<std::uint32_t>(words + 4)));
  }
  const __m256i scales = _mm256_srli_epi32(load32(block->signs_and_scales), 28);
  out.scales = half_steps(block->d, each_twice(_mm256_cvtepi32_ps(scales)), 0.5f);
  out.offsets = zero();
}

inline void decode(const IQ3_S::Block* block, Chunk& out) {
  const std::uint64_t high = word_at<std::uint64_t>(block->high);
  for (int half = 0; half < 2; ++half) {
    const __m512i ninth = _mm512_maskz_set1_epi16(static_cast<__mmask32>(high >> (32 * half)), 256);
    const Indices indices(_mm512_or_si512(low_bits(block->low + 32 * half), ninth));
    for (int i = 0; i < 2; ++i)
      out.levels[2 * half + i] = signed_levels<IQ3_S>(sixteen_points(kIq3SGrid, indices.at + 16 * i), word_at<std::uint64_t>(block->signs + 16 * half + 8 * i));
  }
  const std::uint64_t scales = _pdep_u64(word_at<std::uint32_t>(block->scales), 0x0f0f0f0f0f0f0f0f);
  const Vec n = unsigned_bytes(bytes_each_twice(2 * scales + 0x0101010101010101));
  out.scales = mul(wide(block->d), n);
  out.offsets = zero();
}

// Levels 8 g + shift of 64 grid coordinates g; `shift_words`: 32 words, one for each 8 values.
inline __m512i shifted_levels(__m512i points, __m512i shift_words, int part) {
  const __m512i lanes = _mm512_set_epi16(7, 7, 7, 7, 6, 6, 6, 6, 5, 5, 5, 5, 4, 4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  const __m512i order = _mm512_add_epi16(lanes, _mm512_set1_epi16(static_cast<short>(8 * part)));
  return _mm512_add_epi8(_mm512_slli_epi16(points, 3), _mm512_permutexvar_epi16(order, shift_words));
}
inline void decode_iq1(const std::uint8_t* low, __m512i high, __m512i is_up, Chunk& out) {
  const Indices indices(_mm512_or_si512(low_bits(low), high));
  for (int i = 0; i < 4; ++i) out.levels[i] = shifted_levels(eight_points(kIq1Grid, indices.at + 8 * i), _mm512_and_si512(is_up, _mm512_set1_epi8(2)), i);
  out.offsets = zero();
}

inline void decode(const IQ1_S::Block* block, Chunk& out) {
  const __m128i words = load16(block->high);
  const __m512i high = each_four_times(words);
  decode_iq1(block->low, high_bits(high, 3, 7), _mm512_movm_epi16(static_cast<__mmask32>(~_mm512_movepi16_mask(high))), out);
  const __m128i n = _mm_and_si128(_mm_srli_epi16(words, 12), _mm_set1_epi16(7));
  const __m256i odd = _mm256_cvtepu16_epi32(_mm_add_epi16(_mm_add_epi16(n, n), _mm_set1_epi16(1)));
  out.scales = mul(mul(wide(block->d), each_twice(_mm256_cvtepi32_ps(odd))), splat(0.125f));
}

inline void decode(const IQ1_M::Block* block, Chunk& out) {
  const __m256i pairs = _mm256_cvtepu8_epi16(load16(block->high));
  const __m256i both = _mm256_or_si256(_mm256_and_si256(pairs, _mm256_set1_epi16(0x000f)), _mm256_and_si256(_mm256_slli_epi16(pairs, 4), _mm256_set1_epi16(0x0f00)));
  const __m512i four = _mm512_cvtepu8_epi16(both);
  const __m512i high = _mm512_slli_epi16(_mm512_and_si512(four, _mm512_set1_epi16(7)), 8);
  decode_iq1(block->low, high, _mm512_movm_epi16(_mm512_testn_epi16_mask(four, _mm512_set1_epi16(8))), out);
  const std::uint64_t words = word_at<std::uint64_t>(block->scales);
  const __m512i spread = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3),
                                                  _mm512_castsi128_si512(_mm_cvtepu16_epi32(_mm_cvtsi64_si128(static_cast<long long>(words)))));
  const __m512i n = _mm512_and_si512(_mm512_srlv_epi32(spread, _mm512_setr_epi32(0, 3, 6, 9, 0, 3, 6, 9, 0, 3, 6, 9, 0, 3, 6, 9)), _mm512_set1_epi32(7));
  const Vec odd = _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_add_epi32(n, n), _mm512_set1_epi32(1)));
  out.scales = mul(mul(wide({static_cast<std::uint16_t>(_pext_u64(words, 0xf000f000f000f000))}), odd), splat(0.125f));
}
