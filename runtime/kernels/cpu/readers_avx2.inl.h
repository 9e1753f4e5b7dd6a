// AVX2 readers: the levels of one chunk in eight registers. Here: formats of plain bits; code tables, grids and streams beside it.

template <class F>
inline void read_chunk(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, ChunkData& out) {
  Chunk in;
  Reader<F>::read(weights, row, chunk, in);
  for (int i = 0; i < 8; ++i) _mm256_store_si256(reinterpret_cast<__m256i*>(out.levels + 32 * i), in.levels[i]);
  store(out.scales, in.scales);
  store(out.offsets, in.offsets);
}

inline __m256i masked(__m256i v, int mask) { return _mm256_and_si256(v, bytes(mask)); }
// 16 bytes twice, the upper copy shifted down by four bits: their low nibbles, then their high ones.
inline __m256i nibbles16(const void* at) {
  return masked(_mm256_srlv_epi64(_mm256_broadcastsi128_si256(load16(at)), _mm256_setr_epi64x(0, 0, 4, 4)), 15);
}
// Bit `from` of every byte, moved to bit `to`.
template <int From, int To>
inline __m256i bit_moved(__m256i v) {
  if constexpr (From < To)
    return masked(_mm256_slli_epi16(v, To - From), 1 << To);
  else
    return masked(_mm256_srli_epi16(v, From - To), 1 << To);
}
// Value 32 * r + j takes bit r of byte j: added to the levels at bit To.
template <int To, int... R>
inline void add_bits(__m256i bits, Levels& out, std::integer_sequence<int, R...>) {
  ((out.levels[R] = _mm256_or_si256(out.levels[R], bit_moved<R, To>(bits))), ...);
}
using Eight = std::make_integer_sequence<int, 8>;

// 64 values of four bits in 32 bytes: the low nibbles, then the high ones.
[[gnu::always_inline]] inline void decode_four_bits(const std::uint8_t* packed, Levels& out) {
  for (int i = 0; i < 4; ++i) {
    const __m256i pairs = in_register(load32(packed + 32 * i));
    out.levels[2 * i] = masked(pairs, 15);
    out.levels[2 * i + 1] = masked(_mm256_srli_epi16(pairs, 4), 15);
  }
}
// 128 values of two bits in 32 bytes.
[[gnu::always_inline]] inline void decode_two_bits(const std::uint8_t* packed, Levels& out) {
  for (int half = 0; half < 2; ++half)
    for (int r = 0; r < 4; ++r) out.levels[4 * half + r] = masked(_mm256_srli_epi16(load32(packed + 32 * half), 2 * r), 3);
}

[[gnu::always_inline]] inline void decode_levels(const Q4_K::Block* block, Levels& out) { decode_four_bits(block->levels, out); }

[[gnu::always_inline]] inline void decode_levels(const Q5_K::Block* block, Levels& out) {
  decode_four_bits(block->low, out);
  add_bits<4>(load32(block->high), out, Eight{});
}

[[gnu::always_inline]] inline void decode_levels(const Q6_K::Block* block, Levels& out) {
  for (int half = 0; half < 2; ++half) {
    const __m256i high = load32(block->high + 32 * half), low0 = load32(block->low + 64 * half), low1 = load32(block->low + 64 * half + 32);
    __m256i* to = out.levels + 4 * half;
    to[0] = _mm256_or_si256(masked(low0, 15), masked(_mm256_slli_epi16(high, 4), 0x30));
    to[1] = _mm256_or_si256(masked(low1, 15), masked(_mm256_slli_epi16(high, 2), 0x30));
    to[2] = _mm256_or_si256(masked(_mm256_srli_epi16(low0, 4), 15), masked(high, 0x30));
    to[3] = _mm256_or_si256(masked(_mm256_srli_epi16(low1, 4), 15), masked(_mm256_srli_epi16(high, 2), 0x30));
  }
}

[[gnu::always_inline]] inline void decode_levels(const Q2_K::Block* block, Levels& out) { decode_two_bits(block->levels, out); }
[[gnu::always_inline]] inline void decode_levels(const TQ2_0::Block* block, Levels& out) { decode_two_bits(block->levels, out); }

[[gnu::always_inline]] inline void decode_levels(const Q3_K::Block* block, Levels& out) {
  decode_two_bits(block->low, out);
  add_bits<2>(load32(block->high), out, Eight{});
}

[[gnu::always_inline]] inline void decode_levels(const Q8_0::Block* block, Levels& out) {
  for (int i = 0; i < 8; ++i) out.levels[i] = _mm256_xor_si256(load32(block[i].values), bytes(-128));
}

// 32 bits as bytes: all ones where the bit is set.
inline __m256i spread_bits(std::uint32_t bits) {
  const __m256i each = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(bits)), _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
  return _mm256_cmpeq_epi8(_mm256_and_si256(each, bit), bit);
}

// Blocks of 32 nibbles: 16 low ones, then 16 high ones; maybe fifth bits: one 32-bit word a block, bit j for value j.
[[gnu::always_inline]] inline void decode_levels(const Q4_0::Block* block, Levels& out) {
  for (int i = 0; i < 8; ++i) out.levels[i] = nibbles16(block[i].levels);
}
[[gnu::always_inline]] inline void decode_levels(const Q4_1::Block* block, Levels& out) {
  for (int i = 0; i < 8; ++i) out.levels[i] = nibbles16(block[i].levels);
}
[[gnu::always_inline]] inline void decode_levels(const Q5_0::Block* block, Levels& out) {
  for (int i = 0; i < 8; ++i) out.levels[i] = _mm256_or_si256(nibbles16(block[i].low), masked(spread_bits(word_at<std::uint32_t>(block[i].high)), 16));
}
[[gnu::always_inline]] inline void decode_levels(const Q5_1::Block* block, Levels& out) {
  for (int i = 0; i < 8; ++i) out.levels[i] = _mm256_or_si256(nibbles16(block[i].low), masked(spread_bits(word_at<std::uint32_t>(block[i].high)), 16));
}

// Two blocks of 128 signs: a set bit is level 2, a clear one level 0.
[[gnu::always_inline]] inline void decode_levels(const Q1_0::Block* block, Levels& out) {
  for (int i = 0; i < 8; ++i) out.levels[i] = masked(spread_bits(word_at<std::uint32_t>(block[i / 4].signs + 4 * (i % 4))), 2);
}

inline __m256i times3(__m256i v) { return _mm256_add_epi8(v, _mm256_add_epi8(v, v)); }
inline __m128i times3(__m128i v) { return _mm_add_epi8(v, _mm_add_epi8(v, v)); }

// Digit n of a byte is the whole part of 3 * (byte * 3^n modulo 256) / 256: 1 from 86 on, 2 from 171 on.
[[gnu::always_inline]] inline void decode_levels(const TQ1_0::Block* block, Levels& out) {
  __m128i fives16[5] = {load16(block->fives + 32)}, fours[4] = {_mm_set1_epi32(word_at<std::int32_t>(block->fours))};
  for (int n = 1; n < 5; ++n) fives16[n] = times3(fives16[n - 1]);
  for (int n = 1; n < 4; ++n) fours[n] = times3(fours[n - 1]);
  const __m128i last = _mm_blend_epi32(_mm_blend_epi32(fours[0], fours[1], 2), _mm_blend_epi32(fours[2], fours[3], 8), 12);
  __m256i rest[8] = {load32(block->fives)};
  for (int n = 1; n < 5; ++n) rest[n] = times3(rest[n - 1]);
  rest[5] = _mm256_set_m128i(fives16[1], fives16[0]);
  rest[6] = _mm256_set_m128i(fives16[3], fives16[2]);
  rest[7] = _mm256_set_m128i(last, fives16[4]);
  for (int i = 0; i < 8; ++i) {
    const auto reaches = [&](int least) { return _mm256_cmpeq_epi8(_mm256_max_epu8(rest[i], bytes(least)), rest[i]); };
    out.levels[i] = _mm256_sub_epi8(masked(reaches(86), 1), reaches(171));
  }
}
