// AVX-512 readers: the levels of one chunk in four registers. Here: formats of plain bits; tables, grids and bit streams beside it.

inline __m256i load16_twice(const void* at) { return _mm256_broadcastsi128_si256(load16(at)); }
// 32 bytes twice, the upper copy shifted: `shifts` per 64-bit lane.
inline __m512i twice(const std::uint8_t* at) { return _mm512_broadcast_i64x4(load32(at)); }
inline __m512i halves(long long low, long long high) { return _mm512_setr_epi64(low, low, low, low, high, high, high, high); }
// Bits of every byte from two shifts: one for the lower 32 bytes, one for the upper.
inline __m512i bits_of(__m512i v, int low_shift, int high_shift, int mask) {
  return _mm512_and_si512(_mm512_srlv_epi64(v, halves(low_shift, high_shift)), bytes(mask));
}
// Bits of `a` where `mask` has ones, else those of `b`.
inline __m512i choose(__m512i mask, __m512i a, __m512i b) { return _mm512_ternarylogic_epi64(mask, a, b, 0xca); }

[[gnu::always_inline]] inline void decode_levels(const Q4_K::Block* block, Levels& out) {
  for (int i = 0; i < 4; ++i) out.levels[i] = bits_of(twice(block->levels + 32 * i), 0, 4, 15);
}

[[gnu::always_inline]] inline void decode_levels(const Q5_K::Block* block, Levels& out) {
  const __m512i high = twice(block->high);
  for (int i = 0; i < 4; ++i) {
    const __m512i low = bits_of(twice(block->low + 32 * i), 0, 4, 15);
    out.levels[i] = _mm512_or_si512(low, _mm512_slli_epi16(bits_of(high, 2 * i, 2 * i + 1, 1), 4));
  }
}

[[gnu::always_inline]] inline void decode_levels(const Q6_K::Block* block, Levels& out) {
  for (int half = 0; half < 2; ++half) {
    const __m512i low = in_register(_mm512_loadu_si512(block->low + 64 * half)), high = in_register(twice(block->high + 32 * half));
    out.levels[2 * half] = _mm512_and_si512(choose(bytes(15), low, _mm512_sllv_epi64(high, halves(4, 2))), bytes(63));
    out.levels[2 * half + 1] = _mm512_and_si512(choose(bytes(15), _mm512_srli_epi16(low, 4), _mm512_srlv_epi64(high, halves(0, 2))), bytes(63));
  }
}

// 128 values of two bits in 32 bytes, as Q2_K, Q3_K and TQ2_0 have them.
[[gnu::always_inline]] inline void decode_two_bits(const std::uint8_t* packed, Levels& out) {
  for (int half = 0; half < 2; ++half) {
    const __m512i four = twice(packed + 32 * half);
    out.levels[2 * half] = bits_of(four, 0, 2, 3);
    out.levels[2 * half + 1] = bits_of(four, 4, 6, 3);
  }
}

[[gnu::always_inline]] inline void decode_levels(const Q2_K::Block* block, Levels& out) {
  decode_two_bits(block->levels, out);
}

[[gnu::always_inline]] inline void decode_levels(const Q3_K::Block* block, Levels& out) {
  decode_two_bits(block->low, out);
  const __m512i high = twice(block->high);
  for (int i = 0; i < 4; ++i) out.levels[i] = _mm512_or_si512(out.levels[i], _mm512_slli_epi16(bits_of(high, 2 * i, 2 * i + 1, 1), 2));
}

[[gnu::always_inline]] inline void decode_levels(const TQ2_0::Block* block, Levels& out) {
  decode_two_bits(block->levels, out);
}

[[gnu::always_inline]] inline void decode_levels(const Q8_0::Block* block, Levels& out) {
  for (int i = 0; i < 4; ++i) out.levels[i] = _mm512_xor_si512(join(load32(block[2 * i].values), load32(block[2 * i + 1].values)), bytes(-128));
}

// Blocks of 32 nibbles: 16 low ones, then 16 high ones.
template <class Block>
[[gnu::always_inline]] inline void decode_nibble_blocks(const Block* block, const std::uint8_t (Block::*codes)[16], Levels& out) {
  const __m512i shifts = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
  for (int i = 0; i < 4; ++i) {
    const __m512i pairs = join(load16_twice(block[2 * i].*codes), load16_twice(block[2 * i + 1].*codes));
    out.levels[i] = _mm512_and_si512(_mm512_srlv_epi64(pairs, shifts), bytes(15));
  }
}
// The fifth bits: one 32-bit word a block, bit j for value j.
template <class Block>
inline void add_fifth_bits(const Block* block, Levels& out) {
  for (int i = 0; i < 4; ++i) {
    const std::uint64_t high = word_at<std::uint32_t>(block[2 * i].high) | std::uint64_t{word_at<std::uint32_t>(block[2 * i + 1].high)} << 32;
    out.levels[i] = _mm512_or_si512(out.levels[i], _mm512_maskz_set1_epi8(high, 16));
  }
}

[[gnu::always_inline]] inline void decode_levels(const Q4_0::Block* block, Levels& out) {
  decode_nibble_blocks(block, &Q4_0::Block::levels, out);
}
[[gnu::always_inline]] inline void decode_levels(const Q4_1::Block* block, Levels& out) {
  decode_nibble_blocks(block, &Q4_1::Block::levels, out);
}
[[gnu::always_inline]] inline void decode_levels(const Q5_0::Block* block, Levels& out) {
  decode_nibble_blocks(block, &Q5_0::Block::low, out);
  add_fifth_bits(block, out);
}
[[gnu::always_inline]] inline void decode_levels(const Q5_1::Block* block, Levels& out) {
  decode_nibble_blocks(block, &Q5_1::Block::low, out);
  add_fifth_bits(block, out);
}

// Two blocks of 128 signs: a set bit is level 2, a clear one level 0.
[[gnu::always_inline]] inline void decode_levels(const Q1_0::Block* block, Levels& out) {
  for (int i = 0; i < 4; ++i) out.levels[i] = _mm512_maskz_set1_epi8(word_at<std::uint64_t>(block[i / 2].signs + 8 * (i % 2)), 2);
}

inline __m512i times3(__m512i v) { return _mm512_add_epi8(v, _mm512_add_epi8(v, v)); }
inline __m128i times3(__m128i v) { return _mm_add_epi8(v, _mm_add_epi8(v, v)); }

// Digit n of a byte is the whole part of 3 * (byte * 3^n modulo 256) / 256: 1 from 86 on, 2 from 171 on.
[[gnu::always_inline]] inline void decode_levels(const TQ1_0::Block* block, Levels& out) {
  const __m256i five = load32(block->fives), five3 = _mm256_add_epi8(five, _mm256_add_epi8(five, five));
  __m128i fives16[5] = {load16(block->fives + 32)}, fours[4] = {_mm_set1_epi32(word_at<std::int32_t>(block->fours))};
  for (int n = 1; n < 5; ++n) fives16[n] = times3(fives16[n - 1]);
  for (int n = 1; n < 4; ++n) fours[n] = times3(fours[n - 1]);
  const __m128i last = _mm_blend_epi32(_mm_blend_epi32(fours[0], fours[1], 2), _mm_blend_epi32(fours[2], fours[3], 8), 12);
  __m512i rest[4];
  rest[0] = join(five, five3);
  rest[1] = times3(times3(rest[0]));
  rest[2] = join(_mm512_castsi512_si256(times3(times3(rest[1]))), _mm256_set_m128i(fives16[1], fives16[0]));
  rest[3] = join(_mm256_set_m128i(fives16[3], fives16[2]), _mm256_set_m128i(last, fives16[4]));
  for (int i = 0; i < 4; ++i) {
    const __m512i one = _mm512_maskz_set1_epi8(_mm512_cmpge_epu8_mask(rest[i], bytes(86)), 1);
    out.levels[i] = _mm512_mask_set1_epi8(one, _mm512_cmpge_epu8_mask(rest[i], bytes(171)), 2);
  }
}
