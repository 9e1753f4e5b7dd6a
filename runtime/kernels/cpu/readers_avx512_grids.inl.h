// AVX-512 readers of the grid formats: IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S.

// The points of eight or sixteen indices side by side.
template <std::size_t Points, class Index>
inline __m512i eight_points(const Grid8<Points>& grid, const Index* at) {
  return join(points32(grid, at), points32(grid, at + 4));
}
template <std::size_t Points, class Index>
inline __m512i sixteen_points(const Grid4<Points>& grid, const Index* at) {
  return join(points32(grid, at), points32(grid, at + 8));
}

// Levels of 64 magnitudes: below the bias where the bit of `signs` is set.
template <class F>
inline __m512i signed_levels(__m512i magnitudes, std::uint64_t signs) {
  const __m512i bias = bytes(F::kBias);
  return _mm512_mask_sub_epi8(_mm512_add_epi8(bias, magnitudes), signs, bias, magnitudes);
}

// The signs of 256 values, by way of memory.
struct Signs {
  alignas(32) std::uint64_t of64[4];
  explicit Signs(__m256i signs) { _mm256_store_si256(reinterpret_cast<__m256i*>(of64), signs); }
};

inline void decode_levels(const IQ2_XXS::Block* block, Levels& out) {
  const Signs signs(even_signs_of_words(iq2_xxs_words(block)));
  const auto* at = reinterpret_cast<const std::uint8_t*>(block->runs);  // per group: four indices, then signs and scale
  for (int i = 0; i < 4; ++i, at += 16) {
    const std::uint8_t indices[8] = {at[0], at[1], at[2], at[3], at[8], at[9], at[10], at[11]};
    out.levels[i] = signed_levels<IQ2_XXS>(eight_points(kIq2XxsGrid, indices), signs.of64[i]);
  }
}

inline void decode_levels(const IQ2_XS::Block* block, Levels& out) {
  const Signs signs(even_signs32(_mm512_cvtepi16_epi8(_mm512_srli_epi16(_mm512_loadu_si512(block->points), 9))));
  for (int i = 0; i < 4; ++i) {
    std::uint16_t indices[8];
    for (int k = 0; k < 8; ++k) indices[k] = block->points[8 * i + k] & 511;
    out.levels[i] = signed_levels<IQ2_XS>(eight_points(kIq2XsGrid, indices), signs.of64[i]);
  }
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

inline void decode_levels(const IQ2_S::Block* block, Levels& out) {
  const __m512i high = each_four_times(_mm_cvtepu8_epi16(load8(block->high)));
  const Indices indices(_mm512_or_si512(low_bits(block->low), high_bits(high, 2, 3)));
  for (int i = 0; i < 4; ++i) out.levels[i] = signed_levels<IQ2_S>(eight_points(kIq2SGrid, indices.at + 8 * i), word_at<std::uint64_t>(block->signs + 8 * i));
}

inline void decode_levels(const IQ3_XXS::Block* block, Levels& out) {
  const Signs signs(even_signs_of_words(load32(block->signs_and_scales)));
  for (int i = 0; i < 4; ++i) out.levels[i] = signed_levels<IQ3_XXS>(sixteen_points(kIq3XxsGrid, block->points + 16 * i), signs.of64[i]);
}

inline void decode_levels(const IQ3_S::Block* block, Levels& out) {
  const std::uint64_t high = word_at<std::uint64_t>(block->high);
  for (int half = 0; half < 2; ++half) {
    const __m512i ninth = _mm512_maskz_set1_epi16(static_cast<__mmask32>(high >> (32 * half)), 256);
    const Indices indices(_mm512_or_si512(low_bits(block->low + 32 * half), ninth));
    for (int i = 0; i < 2; ++i)
      out.levels[2 * half + i] = signed_levels<IQ3_S>(sixteen_points(kIq3SGrid, indices.at + 16 * i), word_at<std::uint64_t>(block->signs + 16 * half + 8 * i));
  }
}

// Levels 8 g + shift of 64 grid coordinates g; `shift_words`: 32 words, one for each 8 values.
inline __m512i shifted_levels(__m512i points, __m512i shift_words, int part) {
  const __m512i lanes = _mm512_set_epi16(7, 7, 7, 7, 6, 6, 6, 6, 5, 5, 5, 5, 4, 4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  const __m512i order = _mm512_add_epi16(lanes, _mm512_set1_epi16(static_cast<short>(8 * part)));
  return _mm512_add_epi8(_mm512_slli_epi16(points, 3), _mm512_permutexvar_epi16(order, shift_words));
}
inline void decode_iq1(const std::uint8_t* low, __m512i high, __m512i is_up, Levels& out) {
  const Indices indices(_mm512_or_si512(low_bits(low), high));
  for (int i = 0; i < 4; ++i) out.levels[i] = shifted_levels(eight_points(kIq1Grid, indices.at + 8 * i), _mm512_and_si512(is_up, _mm512_set1_epi8(2)), i);
}

inline void decode_levels(const IQ1_S::Block* block, Levels& out) {
  const __m512i high = each_four_times(load16(block->high));
  decode_iq1(block->low, high_bits(high, 3, 7), _mm512_movm_epi16(static_cast<__mmask32>(~_mm512_movepi16_mask(high))), out);
}

inline void decode_levels(const IQ1_M::Block* block, Levels& out) {
  const __m256i pairs = _mm256_cvtepu8_epi16(load16(block->high));
  const __m256i both = _mm256_or_si256(_mm256_and_si256(pairs, _mm256_set1_epi16(0x000f)), _mm256_and_si256(_mm256_slli_epi16(pairs, 4), _mm256_set1_epi16(0x0f00)));
  const __m512i four = _mm512_cvtepu8_epi16(both);
  const __m512i high = _mm512_slli_epi16(_mm512_and_si512(four, _mm512_set1_epi16(7)), 8);
  decode_iq1(block->low, high, _mm512_movm_epi16(_mm512_testn_epi16_mask(four, _mm512_set1_epi16(8))), out);
}
