// AVX2 readers of codes: tables of 16 levels, grids of points, and MLX's streams of bits.

template <class F>
inline __m256i level_table() {
  alignas(16) std::uint8_t levels[16];
  for (int i = 0; i < 16; ++i) levels[i] = static_cast<std::uint8_t>(F::kValues[i] + F::kBias);
  return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(levels)));
}

[[gnu::always_inline]] inline void decode_levels(const IQ4_NL::Block* block, Levels& out) {
  for (int i = 0; i < 8; ++i) out.levels[i] = _mm256_shuffle_epi8(level_table<IQ4_NL>(), nibbles16(block[i].codes));
}
[[gnu::always_inline]] inline void decode_levels(const IQ4_XS::Block* block, Levels& out) {
  for (int i = 0; i < 8; ++i) out.levels[i] = _mm256_shuffle_epi8(level_table<IQ4_NL>(), nibbles16(block->codes + 16 * i));
}
[[gnu::always_inline]] inline void decode_levels(const MXFP4::Block* block, Levels& out) {
  for (int i = 0; i < 8; ++i) out.levels[i] = _mm256_shuffle_epi8(level_table<MXFP4>(), nibbles16(block[i].codes));
}
// Four blocks of 64: eight bytes hold 16 values, low nibbles first.
[[gnu::always_inline]] inline void decode_levels(const NVFP4::Block* block, Levels& out) {
  for (int i = 0; i < 8; ++i) {
    const __m256i pairs = _mm256_permute4x64_epi64(_mm256_castsi128_si256(load16(block[i / 2].codes + 16 * (i % 2))), 0x50);
    out.levels[i] = _mm256_shuffle_epi8(level_table<MXFP4>(), masked(_mm256_srlv_epi64(pairs, _mm256_setr_epi64x(0, 4, 0, 4)), 15));
  }
}

// Levels of 32 magnitudes: below the bias where the bit of `signs` is set.
template <class F>
inline __m256i signed_levels(__m256i magnitudes, std::uint32_t signs) {
  const __m256i negative = spread_bits(signs);
  return _mm256_add_epi8(bytes(F::kBias), _mm256_sub_epi8(_mm256_xor_si256(magnitudes, negative), negative));
}
// The signs of 256 values, by way of memory.
struct Signs {
  alignas(32) std::uint32_t of32[8];
  explicit Signs(__m256i signs) { _mm256_store_si256(reinterpret_cast<__m256i*>(of32), signs); }
};

inline void decode_levels(const IQ2_XXS::Block* block, Levels& out) {
  const Signs signs(even_signs_of_words(iq2_xxs_words(block)));
  for (int i = 0; i < 8; ++i) out.levels[i] = signed_levels<IQ2_XXS>(points32(kIq2XxsGrid, reinterpret_cast<const std::uint8_t*>(block->runs + 4 * i)), signs.of32[i]);
}

inline void decode_levels(const IQ2_XS::Block* block, Levels& out) {
  const auto sevens = [&](int i) {  // of 16 points
    const __m256i words = _mm256_srli_epi16(load32(block->points + 16 * i), 9);
    return _mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0x08);
  };
  const Signs signs(even_signs32(_mm256_permute2x128_si256(sevens(0), sevens(1), 0x20)));
  for (int i = 0; i < 8; ++i) {
    std::uint16_t indices[4];
    for (int k = 0; k < 4; ++k) indices[k] = block->points[4 * i + k] & 511;
    out.levels[i] = signed_levels<IQ2_XS>(points32(kIq2XsGrid, indices), signs.of32[i]);
  }
}

inline void decode_levels(const IQ2_S::Block* block, Levels& out) {
  for (int i = 0; i < 8; ++i) {
    unsigned indices[4];
    for (int k = 0; k < 4; ++k) indices[k] = block->low[4 * i + k] | ((block->high[i] >> (2 * k)) & 3u) << 8;
    out.levels[i] = signed_levels<IQ2_S>(points32(kIq2SGrid, indices), word_at<std::uint32_t>(block->signs + 4 * i));
  }
}

inline void decode_levels(const IQ3_XXS::Block* block, Levels& out) {
  const Signs signs(even_signs_of_words(load32(block->signs_and_scales)));
  for (int i = 0; i < 8; ++i) out.levels[i] = signed_levels<IQ3_XXS>(points32(kIq3XxsGrid, block->points + 8 * i), signs.of32[i]);
}

inline void decode_levels(const IQ3_S::Block* block, Levels& out) {
  for (int i = 0; i < 8; ++i) {
    unsigned indices[8];
    for (int k = 0; k < 8; ++k) indices[k] = block->low[8 * i + k] | ((block->high[i] >> k) & 1u) << 8;
    out.levels[i] = signed_levels<IQ3_S>(points32(kIq3SGrid, indices), word_at<std::uint32_t>(block->signs + 4 * i));
  }
}

// Levels 8 g + 2, or 8 g where the shift is down, of 32 grid coordinates g; `down` has a bit for each point of eight.
inline __m256i shifted_levels(__m256i points, __m256i shifts) { return _mm256_add_epi8(_mm256_slli_epi16(points, 3), shifts); }

inline void decode_levels(const IQ1_S::Block* block, Levels& out) {
  for (int i = 0; i < 8; ++i) {
    const unsigned high = block->high[i];
    unsigned indices[4];
    for (int k = 0; k < 4; ++k) indices[k] = block->low[4 * i + k] | ((high >> (3 * k)) & 7u) << 8;
    out.levels[i] = shifted_levels(points32(kIq1Grid, indices), bytes((high & 0x8000u) != 0 ? 0 : 2));
  }
}

inline void decode_levels(const IQ1_M::Block* block, Levels& out) {
  const __m256i eight = _mm256_setr_epi64x(0x8, 0x80, 0x800, 0x8000), two = bytes(2);
  for (int i = 0; i < 8; ++i) {
    const unsigned high = word_at<std::uint16_t>(block->high + 2 * i);
    unsigned indices[4];
    for (int k = 0; k < 4; ++k) indices[k] = block->low[4 * i + k] | ((high >> (4 * k)) & 7u) << 8;
    const __m256i down = _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x(high), eight), eight);
    out.levels[i] = shifted_levels(points32(kIq1Grid, indices), _mm256_andnot_si256(down, two));
  }
}

// How 16 levels of `Bits` bits lie in 2 * Bits bytes: levels 2j and 2j + 1 each come from two bytes, multiplied so that the level
// starts at bit 8 of the 16.
template <int Bits>
struct StreamOrder {
  alignas(32) std::uint8_t even[32], odd[32];
  alignas(32) std::uint16_t even_factor[16], odd_factor[16];

  constexpr StreamOrder() : even(), odd(), even_factor(), odd_factor() {
    for (int word = 0; word < 16; ++word) {
      const int even_bit = 2 * (word % 8) * Bits, odd_bit = even_bit + Bits;
      for (int k = 0; k < 2; ++k) {
        even[2 * word + k] = static_cast<std::uint8_t>(std::min(even_bit / 8 + k, 15));
        odd[2 * word + k] = static_cast<std::uint8_t>(std::min(odd_bit / 8 + k, 15));
      }
      even_factor[word] = static_cast<std::uint16_t>(1 << (8 - even_bit % 8));
      odd_factor[word] = static_cast<std::uint16_t>(1 << (8 - odd_bit % 8));
    }
  }
};
template <int Bits>
inline constexpr StreamOrder<Bits> kStreamOrder;

// 2 * Bits bytes, no more.
template <int Bits>
inline __m128i load_levels16(const std::byte* at) {
  if constexpr (Bits == 3) return _mm_cvtsi64_si128(static_cast<long long>(word_at<std::uint32_t>(at) | std::uint64_t{word_at<std::uint16_t>(at + 4)} << 32));
  if constexpr (Bits == 5) return _mm_insert_epi16(load8(at), word_at<std::uint16_t>(at + 8), 4);
  if constexpr (Bits == 6) return _mm_insert_epi32(load8(at), word_at<std::int32_t>(at + 8), 2);
}

// The 32 levels of 4 * Bits bytes.
template <int Bits>
[[gnu::always_inline]] inline __m256i stream_levels(const std::byte* at) {
  if constexpr (Bits == 8) {
    return load32(at);
  } else if constexpr (Bits == 4) {  // byte b holds levels 2b and 2b + 1
    const __m256i pairs = _mm256_cvtepu8_epi16(load16(at));
    return masked(_mm256_or_si256(pairs, _mm256_slli_epi16(pairs, 4)), 15);
  } else if constexpr (Bits == 2) {
    __m256i four = _mm256_cvtepu8_epi32(load8(at));
    four = _mm256_or_si256(four, _mm256_slli_epi32(four, 12));
    return masked(_mm256_or_si256(four, _mm256_slli_epi32(four, 6)), 3);
  } else {
    constexpr const StreamOrder<Bits>& order = kStreamOrder<Bits>;
    const __m256i all = _mm256_set_m128i(load_levels16<Bits>(at + 2 * Bits), load_levels16<Bits>(at));
    const __m256i even = _mm256_mullo_epi16(_mm256_shuffle_epi8(all, load32(order.even)), load32(order.even_factor));
    const __m256i odd = _mm256_mullo_epi16(_mm256_shuffle_epi8(all, load32(order.odd)), load32(order.odd_factor));
    const __m256i mask = _mm256_set1_epi16(static_cast<short>(((1 << Bits) - 1) << 8));
    return _mm256_or_si256(_mm256_srli_epi16(_mm256_and_si256(even, mask), 8), _mm256_and_si256(odd, mask));
  }
}
template <int Bits>
[[gnu::always_inline]] inline void decode_stream(const std::byte* at, Levels& out) {
  for (int i = 0; i < 8; ++i) out.levels[i] = stream_levels<Bits>(at + 4 * Bits * i);
}
