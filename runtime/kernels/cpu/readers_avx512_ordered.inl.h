// AVX-512 readers of levels in the order that takes the fewest instructions. Inputs are brought to it once.

template <LevelOrder Order>
inline constexpr int kSumsOf = Order == LevelOrder::file ? 4 : Order == LevelOrder::fours ? 1 : 2;

template <>
inline constexpr LevelOrder kOrderOf<MLX_Q4> = LevelOrder::pairs;
template <>
inline constexpr LevelOrder kOrderOf<IQ3_XXS> = LevelOrder::pairs;
template <>
inline constexpr LevelOrder kOrderOf<MLX_Q2> = LevelOrder::fours;
template <>
inline constexpr LevelOrder kOrderOf<IQ2_XXS> = LevelOrder::fours;
template <class F>
  requires kIsOneOf<F, Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL, IQ4_XS, MXFP4>
inline constexpr LevelOrder kOrderOf<F> = LevelOrder::halves;

template <LevelOrder Order>
void order_levels(const std::int8_t* from, std::int8_t* to) {
  __m512i in[4];
  for (int i = 0; i < 4; ++i) in[i] = _mm512_loadu_si512(from + 64 * i);
  for (int i = 0; i < 4; ++i) {
    const __m512i a = in[i / 2 * 2], b = in[i / 2 * 2 + 1];
    if constexpr (Order == LevelOrder::halves) {
      _mm512_store_si512(to + 64 * i, i % 2 == 0 ? _mm512_shuffle_i64x2(a, b, 0x88) : _mm512_shuffle_i64x2(a, b, 0xdd));
    } else if constexpr (Order == LevelOrder::pairs) {
      const auto shift = _mm_cvtsi32_si128(i % 2 * 8);
      _mm512_store_si512(to + 64 * i, join(_mm512_cvtepi16_epi8(_mm512_srl_epi16(a, shift)), _mm512_cvtepi16_epi8(_mm512_srl_epi16(b, shift))));
    } else {
      static_assert(Order == LevelOrder::fours);
      const auto shift = _mm_cvtsi32_si128(i * 8);
      for (int k = 0; k < 4; ++k) _mm_store_si128(reinterpret_cast<__m128i*>(to + 64 * i + 16 * k), _mm512_cvtepi32_epi8(_mm512_srl_epi32(in[k], shift)));
    }
  }
}

// Readers with an overload for them give levels in the format's order, the others as the file has them.
struct OrderedSpans : Spans {};

inline void split_nibbles(__m512i pairs, __m512i (&levels)[4], int first) {
  levels[first] = _mm512_and_si512(pairs, bytes(15));
  levels[first + 1] = _mm512_and_si512(_mm512_srli_epi16(pairs, 4), bytes(15));
}

// Sixteen bytes each of four blocks.
template <class Block>
inline __m512i load16_of_four(const Block* block, const std::uint8_t (Block::*codes)[16]) {
  const auto two = [&](int i) { return _mm256_inserti128_si256(_mm256_castsi128_si256(load16(block[i].*codes)), load16(block[i + 1].*codes), 1); };
  return join(two(0), two(2));
}
template <class Block>
[[gnu::always_inline]] inline void decode_ordered(const Block* block, const std::uint8_t (Block::*codes)[16], Levels& out) {
  for (int i = 0; i < 2; ++i) split_nibbles(load16_of_four(block + 4 * i, codes), out.levels, 2 * i);
}
// Bit j of each block's word for value j.
template <class Block>
inline void add_ordered_fifths(const Block* block, Levels& out) {
  const __m128i order = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
  for (int i = 0; i < 2; ++i) {
    const auto word = [&](int k) { return word_at<std::int32_t>(block[4 * i + k].high); };
    const __m128i high = _mm_shuffle_epi8(_mm_setr_epi32(word(0), word(1), word(2), word(3)), order);
    const __mmask64 low16 = static_cast<__mmask64>(_mm_cvtsi128_si64(high)), high16 = static_cast<__mmask64>(_mm_extract_epi64(high, 1));
    out.levels[2 * i] = _mm512_or_si512(out.levels[2 * i], _mm512_maskz_set1_epi8(low16, 16));
    out.levels[2 * i + 1] = _mm512_or_si512(out.levels[2 * i + 1], _mm512_maskz_set1_epi8(high16, 16));
  }
}

// Eight blocks of nine 16-bit words, a scale and eight of codes, from three registers: words 0 to 31, 32 to 63 and 40 to 71.
struct NineWordOrder {
  alignas(64) std::uint16_t codes[2][32], scales[32];

  constexpr NineWordOrder() : codes(), scales() {
    for (int i = 0; i < 32; ++i) {
      codes[0][i] = static_cast<std::uint16_t>(9 * (i / 8) + 1 + i % 8);
      const int word = 9 * (4 + i / 8) + 1 + i % 8;
      codes[1][i] = static_cast<std::uint16_t>(word < 64 ? word - 32 : word - 40 + 32);
      scales[i] = static_cast<std::uint16_t>(9 * (i % 8));
    }
  }
};
inline constexpr NineWordOrder kNineWordOrder;
template <class Block>
[[gnu::always_inline]] inline void decode_nine_words(const Block* block, OrderedSpans& out) {
  static_assert(sizeof(Block) == 18);
  const auto* at = reinterpret_cast<const std::byte*>(block);
  const __m512i first = _mm512_loadu_si512(at), second = _mm512_loadu_si512(at + 64), last = _mm512_loadu_si512(at + 80);
  split_nibbles(_mm512_permutex2var_epi16(first, _mm512_load_si512(kNineWordOrder.codes[0]), second), out.levels, 0);
  split_nibbles(_mm512_permutex2var_epi16(second, _mm512_load_si512(kNineWordOrder.codes[1]), last), out.levels, 2);
  const __m512i scales = _mm512_permutex2var_epi16(first, _mm512_load_si512(kNineWordOrder.scales), second);
  out.scales = _mm256_cvtph_ps(_mm512_castsi512_si128(scales));
}
[[gnu::always_inline]] inline void decode_levels(const Q4_0::Block* block, OrderedSpans& out) { decode_nine_words(block, out); }
[[gnu::always_inline]] inline void decode_affines(const Q4_0::Block*, OrderedSpans&) {}  // read with the levels
[[gnu::always_inline]] inline void decode_levels(const Q4_1::Block* block, OrderedSpans& out) { decode_ordered(block, &Q4_1::Block::levels, out); }
[[gnu::always_inline]] inline void decode_levels(const Q5_0::Block* block, OrderedSpans& out) {
  decode_ordered(block, &Q5_0::Block::low, out);
  add_ordered_fifths(block, out);
}
[[gnu::always_inline]] inline void decode_levels(const Q5_1::Block* block, OrderedSpans& out) {
  decode_ordered(block, &Q5_1::Block::low, out);
  add_ordered_fifths(block, out);
}
[[gnu::always_inline]] inline void decode_levels(const IQ4_NL::Block* block, OrderedSpans& out) {
  decode_nine_words(block, out);
  for (__m512i& part : out.levels) part = _mm512_shuffle_epi8(level_table<IQ4_NL>(), part);
}
[[gnu::always_inline]] inline void decode_affines(const IQ4_NL::Block*, OrderedSpans&) {}
[[gnu::always_inline]] inline void decode_levels(const MXFP4::Block* block, OrderedSpans& out) {
  decode_ordered(block, &MXFP4::Block::codes, out);
  for (__m512i& part : out.levels) part = _mm512_shuffle_epi8(level_table<MXFP4>(), part);
}
[[gnu::always_inline]] inline void decode_levels(const IQ4_XS::Block* block, OrderedSpans& out) {
  for (int i = 0; i < 2; ++i) split_nibbles(_mm512_loadu_si512(block->codes + 64 * i), out.levels, 2 * i);
  for (__m512i& part : out.levels) part = _mm512_shuffle_epi8(level_table<IQ4_NL>(), part);
}

// Grids of 256 points lie in eight registers as codes of 16 bits, which permutes reach: the codes of 32 points.
[[gnu::always_inline]] inline __m512i codes_of_points(const std::array<std::uint16_t, 256>& codes, __m512i points) {
  __m512i of64[4];
  for (int i = 0; i < 4; ++i) of64[i] = _mm512_permutex2var_epi16(_mm512_loadu_si512(codes.data() + 64 * i), points, _mm512_loadu_si512(codes.data() + 64 * i + 32));
  const __mmask32 bit6 = _mm512_test_epi16_mask(points, _mm512_set1_epi16(64)), bit7 = _mm512_test_epi16_mask(points, _mm512_set1_epi16(128));
  return _mm512_mask_mov_epi16(_mm512_mask_mov_epi16(of64[0], bit6, of64[1]), bit7, _mm512_mask_mov_epi16(of64[2], bit6, of64[3]));
}
// Levels of the codes of magnitudes: bias plus magnitude, and minus it.
template <class F, std::size_t Size>
struct SignedMagnitudes {
  alignas(16) std::uint8_t plus[16] = {}, minus[16] = {};
  constexpr explicit SignedMagnitudes(const std::array<std::uint8_t, Size>& magnitudes) {
    for (std::size_t i = 0; i < Size; ++i) plus[i] = static_cast<std::uint8_t>(F::kBias + magnitudes[i]), minus[i] = static_cast<std::uint8_t>(F::kBias - magnitudes[i]);
  }
  // Minus where the bit of `signs` is set.
  [[gnu::always_inline]] __m512i levels(__m512i codes, __mmask64 signs) const {
    const __m512i above = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(load16(plus)), codes);
    return _mm512_mask_shuffle_epi8(above, signs, _mm512_broadcast_i32x4(load16(minus)), codes);
  }
};
inline constexpr SignedMagnitudes<IQ2_XXS, 3> kIq2XxsLevels(kIq2Magnitudes);
inline constexpr SignedMagnitudes<IQ3_XXS, 8> kIq3XxsLevels(kIq3XxsMagnitudes);

[[gnu::always_inline]] inline void decode_levels(const IQ2_XXS::Block* block, OrderedSpans& out) {
  const __m256i points = _mm512_cvtepi64_epi32(_mm512_loadu_si512(block->runs));
  const __m512i codes = codes_of_points(kIq2XxsCodes, _mm512_cvtepu8_epi16(points));
  const __m512i eights = _mm512_cvtepu8_epi16(even_signs_of_words(iq2_xxs_words(block)));
  const __m512i signs = _mm512_or_si512(eights, _mm512_slli_epi16(eights, 4));  // bit r of byte n: of value 4 n + r
  for (int r = 0; r < 4; ++r)
    out.levels[r] = kIq2XxsLevels.levels(_mm512_and_si512(_mm512_srli_epi16(codes, static_cast<unsigned>(2 * r)), bytes(3)), _mm512_test_epi8_mask(signs, bytes(1 << r)));
}
inline std::uint64_t every_other(const std::uint64_t* of64, std::uint64_t mask) { return _pext_u64(of64[0], mask) | _pext_u64(of64[1], mask) << 32; }
[[gnu::always_inline]] inline void decode_levels(const IQ3_XXS::Block* block, OrderedSpans& out) {
  const Signs signs(even_signs_of_words(load32(block->signs_and_scales)));
  for (int half = 0; half < 2; ++half) {
    const __m512i codes = codes_of_points(kIq3XxsCodes, _mm512_cvtepu8_epi16(load32(block->points + 32 * half)));
    const std::uint64_t* of = signs.of64 + 2 * half;
    out.levels[2 * half] = kIq3XxsLevels.levels(_mm512_and_si512(codes, bytes(15)), every_other(of, 0x5555555555555555));
    out.levels[2 * half + 1] = kIq3XxsLevels.levels(_mm512_and_si512(_mm512_srli_epi16(codes, 4), bytes(15)), every_other(of, 0xaaaaaaaaaaaaaaaa));
  }
}

template <int Bits>
[[gnu::always_inline]] inline void decode_stream(const std::byte* at, OrderedSpans& out) {
  if constexpr (Bits == 4) {
    for (int i = 0; i < 2; ++i) split_nibbles(_mm512_loadu_si512(at + 64 * i), out.levels, 2 * i);
  } else if constexpr (Bits == 2) {
    const __m512i four = _mm512_loadu_si512(at);
    for (int i = 0; i < 4; ++i) out.levels[i] = _mm512_and_si512(_mm512_srli_epi16(four, static_cast<unsigned>(2 * i)), bytes(3));
  } else {
    decode_stream<Bits>(at, static_cast<Levels&>(out));
  }
}
