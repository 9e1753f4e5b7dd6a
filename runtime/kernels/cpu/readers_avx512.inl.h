// AVX-512 readers: one chunk of a row from the file's bytes into four registers of levels, with scales and offsets.
// Here: what readers share, and the formats of plain bits with affine scales. Tables, grids and bit streams lie beside it.

struct Chunk {
  __m512i levels[4];  // 256 values in order
  Vec scales;         // of 16 groups of 16
  Vec offsets;
};

// Overloads of decode(const Block* blocks, Chunk& out) turn the blocks of a whole chunk into one. They are inlined, so that levels
// stay in registers; only grid points cost more than the way through memory.
template <class F>
struct Reader;

template <BlockFormat F>
struct Reader<F> {
  [[gnu::always_inline]] static void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Chunk& out) {
    using Block = typename F::Block;
    constexpr std::uint32_t kBlocks = kChunk / F::kBlock;
    const auto* blocks = reinterpret_cast<const Block*>(weights.data + row * weights.row_bytes) + std::size_t{chunk} * kBlocks;
    [[maybe_unused]] alignas(64) std::byte padded[kBlocks * sizeof(Block)];
    if constexpr (kBlocks > 1) {  // the last chunk of a ragged row is filled up with zero bytes
      if ((chunk + 1) * kChunk > weights.cols) [[unlikely]] {
        std::memset(padded, 0, sizeof padded);
        std::memcpy(padded, blocks, (weights.cols - chunk * kChunk) / F::kBlock * sizeof(Block));
        blocks = reinterpret_cast<const Block*>(padded);
      }
    }
    decode(blocks, out);
  }
};

template <class F>
inline void read_chunk(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, ChunkData& out) {
  Chunk in;
  Reader<F>::read(weights, row, chunk, in);
  for (int i = 0; i < 4; ++i) _mm512_store_si512(out.levels + 64 * i, in.levels[i]);
  store(out.scales, in.scales);
  store(out.offsets, in.offsets);
}

inline __m512i bytes(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
template <class T>
inline T word_at(const void* at) {
  T word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
inline __m128i load16(const void* at) { return _mm_loadu_si128(static_cast<const __m128i*>(at)); }
inline __m256i load32(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }
inline __m256i load16_twice(const void* at) { return _mm256_broadcastsi128_si256(load16(at)); }
inline __m512i join(__m256i low, __m256i high) { return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1); }

// 32 bytes twice, the upper copy shifted: `shifts` per 64-bit lane.
inline __m512i twice(const std::uint8_t* at) { return _mm512_broadcast_i64x4(load32(at)); }
inline __m512i halves(long long low, long long high) { return _mm512_setr_epi64(low, low, low, low, high, high, high, high); }
// Bits of every byte from two shifts: one for the lower 32 bytes, one for the upper.
inline __m512i bits_of(__m512i v, int low_shift, int high_shift, int mask) {
  return _mm512_and_si512(_mm512_srlv_epi64(v, halves(low_shift, high_shift)), bytes(mask));
}

inline Vec wide(Half d) { return _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<short>(d.bits))); }
inline Vec negate(Vec v) { return _mm512_xor_ps(v, splat(-0.0f)); }  // 0 - v would lose the sign of a zero
// Each of 8 floats twice.
inline Vec each_twice(__m256 values) {
  return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), _mm512_castps256_ps512(values));
}
inline Vec unsigned_bytes(__m128i v) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(v)); }
inline Vec signed_bytes(__m128i v) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(v)); }
// Eight 8-bit numbers, each twice.
inline __m128i bytes_each_twice(std::uint64_t eight) {
  const __m128i row = _mm_cvtsi64_si128(static_cast<long long>(eight));
  return _mm_unpacklo_epi8(row, row);
}
// The nibbles of eight bytes, low ones first.
inline __m128i nibbles(std::uint64_t eight) {
  const __m128i row = _mm_cvtsi64_si128(static_cast<long long>(eight)), mask = _mm_set1_epi8(15);
  return _mm_unpacklo_epi8(_mm_and_si128(row, mask), _mm_and_si128(_mm_srli_epi16(row, 4), mask));
}

// The 6-bit scales and minimums of Q4_K and Q5_K, four at a time in a 32-bit word.
[[gnu::always_inline]] inline void decode_k_affines(const std::uint8_t* packed, Half d, Half dmin, Chunk& out) {
  std::uint32_t word[3];
  std::memcpy(word, packed, sizeof word);
  const std::uint32_t scales_low = word[0] & 0x3f3f3f3fu, mins_low = word[1] & 0x3f3f3f3fu;
  const std::uint32_t scales_high = (word[2] & 0x0f0f0f0fu) | ((word[0] >> 2) & 0x30303030u);
  const std::uint32_t mins_high = ((word[2] >> 4) & 0x0f0f0f0fu) | ((word[1] >> 2) & 0x30303030u);
  out.scales = mul(wide(d), unsigned_bytes(bytes_each_twice(scales_low | (std::uint64_t{scales_high} << 32))));
  out.offsets = negate(mul(wide(dmin), unsigned_bytes(bytes_each_twice(mins_low | (std::uint64_t{mins_high} << 32)))));
}

[[gnu::always_inline]] inline void decode(const Q4_K::Block* block, Chunk& out) {
  for (int i = 0; i < 4; ++i) out.levels[i] = bits_of(twice(block->levels + 32 * i), 0, 4, 15);
  decode_k_affines(block->scales, block->d, block->dmin, out);
}

[[gnu::always_inline]] inline void decode(const Q5_K::Block* block, Chunk& out) {
  const __m512i high = twice(block->high);
  for (int i = 0; i < 4; ++i) {
    const __m512i low = bits_of(twice(block->low + 32 * i), 0, 4, 15);
    out.levels[i] = _mm512_or_si512(low, _mm512_slli_epi16(bits_of(high, 2 * i, 2 * i + 1, 1), 4));
  }
  decode_k_affines(block->scales, block->d, block->dmin, out);
}

[[gnu::always_inline]] inline void decode(const Q6_K::Block* block, Chunk& out) {
  for (int half = 0; half < 2; ++half) {
    const __m512i low = _mm512_loadu_si512(block->low + 64 * half), high = twice(block->high + 32 * half);
    out.levels[2 * half] = _mm512_or_si512(_mm512_and_si512(low, bytes(15)), _mm512_slli_epi16(bits_of(high, 0, 2, 3), 4));
    out.levels[2 * half + 1] = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(low, 4), bytes(15)), _mm512_slli_epi16(bits_of(high, 4, 6, 3), 4));
  }
  out.scales = mul(wide(block->d), signed_bytes(load16(block->scales)));
  out.offsets = zero();
}

// 128 values of two bits in 32 bytes, as Q2_K, Q3_K and TQ2_0 have them.
[[gnu::always_inline]] inline void decode_two_bits(const std::uint8_t* packed, Chunk& out) {
  for (int half = 0; half < 2; ++half) {
    const __m512i four = twice(packed + 32 * half);
    out.levels[2 * half] = bits_of(four, 0, 2, 3);
    out.levels[2 * half + 1] = bits_of(four, 4, 6, 3);
  }
}

[[gnu::always_inline]] inline void decode(const Q2_K::Block* block, Chunk& out) {
  decode_two_bits(block->levels, out);
  const __m128i pairs = load16(block->scales), mask = _mm_set1_epi8(15);
  out.scales = mul(wide(block->d), unsigned_bytes(_mm_and_si128(pairs, mask)));
  out.offsets = negate(mul(wide(block->dmin), unsigned_bytes(_mm_and_si128(_mm_srli_epi16(pairs, 4), mask))));
}

[[gnu::always_inline]] inline void decode(const Q3_K::Block* block, Chunk& out) {
  decode_two_bits(block->low, out);
  const __m512i high = twice(block->high);
  for (int i = 0; i < 4; ++i) out.levels[i] = _mm512_or_si512(out.levels[i], _mm512_slli_epi16(bits_of(high, 2 * i, 2 * i + 1, 1), 2));
  // Low nibbles of groups 0-7, then of 8-15; the two high bits of four groups in a row are the same bits of four bytes.
  const __m128i pairs = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(block->scales));
  const __m128i low = _mm_and_si128(_mm_unpacklo_epi64(pairs, _mm_srli_epi16(pairs, 4)), _mm_set1_epi8(15));
  const __m128i fours = _mm_srlv_epi32(_mm_set1_epi32(word_at<std::int32_t>(block->scales + 8)), _mm_setr_epi32(0, 2, 4, 6));
  const __m128i six = _mm_or_si128(low, _mm_slli_epi16(_mm_and_si128(fours, _mm_set1_epi8(3)), 4));
  out.scales = mul(wide(block->d), signed_bytes(_mm_sub_epi8(six, _mm_set1_epi8(32))));
  out.offsets = zero();
}

[[gnu::always_inline]] inline void decode(const TQ2_0::Block* block, Chunk& out) {
  decode_two_bits(block->levels, out);
  out.scales = wide(block->d);
  out.offsets = zero();
}

// F16 scales of eight blocks of 32 values; inserted one by one, because a store of halves and a wide load would wait.
template <class Block>
inline Vec block_scales(const Block* b, Half Block::*member) {
#define ASSAY_BITS(i) static_cast<short>((b[i].*member).bits)
  const __m128i halves16 = _mm_setr_epi16(ASSAY_BITS(0), ASSAY_BITS(1), ASSAY_BITS(2), ASSAY_BITS(3), ASSAY_BITS(4), ASSAY_BITS(5), ASSAY_BITS(6), ASSAY_BITS(7));
#undef ASSAY_BITS
  return each_twice(_mm256_cvtph_ps(halves16));
}

[[gnu::always_inline]] inline void decode(const Q8_0::Block* block, Chunk& out) {
  for (int i = 0; i < 4; ++i) out.levels[i] = _mm512_xor_si512(join(load32(block[2 * i].values), load32(block[2 * i + 1].values)), bytes(-128));
  out.scales = block_scales(block, &Q8_0::Block::d);
  out.offsets = zero();
}

// Blocks of 32 nibbles: 16 low ones, then 16 high ones.
template <class Block>
[[gnu::always_inline]] inline void decode_nibble_blocks(const Block* block, const std::uint8_t (Block::*codes)[16], Chunk& out) {
  const __m512i shifts = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
  for (int i = 0; i < 4; ++i) {
    const __m512i pairs = join(load16_twice(block[2 * i].*codes), load16_twice(block[2 * i + 1].*codes));
    out.levels[i] = _mm512_and_si512(_mm512_srlv_epi64(pairs, shifts), bytes(15));
  }
}
// The fifth bits: one 32-bit word a block, bit j for value j.
template <class Block>
inline void add_fifth_bits(const Block* block, Chunk& out) {
  for (int i = 0; i < 4; ++i) {
    const std::uint64_t high = word_at<std::uint32_t>(block[2 * i].high) | std::uint64_t{word_at<std::uint32_t>(block[2 * i + 1].high)} << 32;
    out.levels[i] = _mm512_or_si512(out.levels[i], _mm512_maskz_set1_epi8(high, 16));
  }
}

[[gnu::always_inline]] inline void decode(const Q4_0::Block* block, Chunk& out) {
  decode_nibble_blocks(block, &Q4_0::Block::levels, out);
  out.scales = block_scales(block, &Q4_0::Block::d);
  out.offsets = zero();
}
[[gnu::always_inline]] inline void decode(const Q4_1::Block* block, Chunk& out) {
  decode_nibble_blocks(block, &Q4_1::Block::levels, out);
  out.scales = block_scales(block, &Q4_1::Block::d);
  out.offsets = block_scales(block, &Q4_1::Block::min);
}
[[gnu::always_inline]] inline void decode(const Q5_0::Block* block, Chunk& out) {
  decode_nibble_blocks(block, &Q5_0::Block::low, out);
  add_fifth_bits(block, out);
  out.scales = block_scales(block, &Q5_0::Block::d);
  out.offsets = zero();
}
[[gnu::always_inline]] inline void decode(const Q5_1::Block* block, Chunk& out) {
  decode_nibble_blocks(block, &Q5_1::Block::low, out);
  add_fifth_bits(block, out);
  out.scales = block_scales(block, &Q5_1::Block::d);
  out.offsets = block_scales(block, &Q5_1::Block::min);
}

// Two blocks of 128 signs: a set bit is level 2, a clear one level 0.
[[gnu::always_inline]] inline void decode(const Q1_0::Block* block, Chunk& out) {
  for (int i = 0; i < 4; ++i) out.levels[i] = _mm512_maskz_set1_epi8(word_at<std::uint64_t>(block[i / 2].signs + 8 * (i % 2)), 2);
  out.scales = _mm512_mask_blend_ps(0xff00, wide(block[0].d), wide(block[1].d));
  out.offsets = zero();
}

inline __m512i times3(__m512i v) { return _mm512_add_epi8(v, _mm512_add_epi8(v, v)); }
inline __m128i times3(__m128i v) { return _mm_add_epi8(v, _mm_add_epi8(v, v)); }

// Digit n of a byte is the whole part of 3 * (byte * 3^n modulo 256) / 256: 1 from 86 on, 2 from 171 on.
[[gnu::always_inline]] inline void decode(const TQ1_0::Block* block, Chunk& out) {
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
  out.scales = wide(block->d);
  out.offsets = zero();
}
