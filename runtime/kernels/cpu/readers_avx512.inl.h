// AVX-512 readers: one chunk of a row from the file's bytes into four registers of levels, with scales and offsets.

struct Chunk {
  __m512i levels[4];  // 256 values in order
  Vec scales;         // of 16 groups of 16
  Vec offsets;
};

inline __m512i bytes(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
// 32 bytes twice, the upper copy shifted: `shifts` per 64-bit lane.
inline __m512i twice(const std::uint8_t* at) { return _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at))); }
inline __m512i halves(long long low, long long high) { return _mm512_setr_epi64(low, low, low, low, high, high, high, high); }
// Each of 8 floats twice.
inline Vec each_twice(__m256 values) {
  return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), _mm512_castps256_ps512(values));
}
// Eight 8-bit numbers, each twice, as floats.
inline Vec bytes_each_twice(std::uint64_t eight) {
  const __m128i row = _mm_cvtsi64_si128(static_cast<long long>(eight));
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_unpacklo_epi8(row, row)));
}

// Through memory, by the format's plain definition: formats without a reader of their own, and the last chunk of ragged rows.
template <class F>
inline void read_gathered(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Chunk& out) {
  ChunkData data;
  gather_chunk<F>(weights, row, chunk, data);
  for (int i = 0; i < 4; ++i) out.levels[i] = _mm512_load_si512(data.levels + 64 * i);
  out.scales = load(data.scales);
  out.offsets = load(data.offsets);
}
template <class F>
struct Reader {
  static void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Chunk& out) { read_gathered<F>(weights, row, chunk, out); }
};

// The 6-bit scales and minimums of Q4_K and Q5_K, four at a time in a 32-bit word.
inline void read_k_affines(const std::uint8_t* packed, Half d, Half dmin, Chunk& out) {
  std::uint32_t word[3];
  std::memcpy(word, packed, sizeof word);
  const std::uint32_t scales_low = word[0] & 0x3f3f3f3fu, mins_low = word[1] & 0x3f3f3f3fu;
  const std::uint32_t scales_high = (word[2] & 0x0f0f0f0fu) | ((word[0] >> 2) & 0x30303030u);
  const std::uint32_t mins_high = ((word[2] >> 4) & 0x0f0f0f0fu) | ((word[1] >> 2) & 0x30303030u);
  const Vec scale = _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<short>(d.bits)));
  const Vec minimum = _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<short>(dmin.bits)));
  out.scales = mul(scale, bytes_each_twice(scales_low | (std::uint64_t{scales_high} << 32)));
  out.offsets = sub(zero(), mul(minimum, bytes_each_twice(mins_low | (std::uint64_t{mins_high} << 32))));
}

template <class Block>
inline const Block& block_at(const WeightRows& weights, std::uint32_t row, std::uint32_t index) {
  return *reinterpret_cast<const Block*>(weights.data + row * weights.row_bytes + std::size_t{index} * sizeof(Block));
}

template <>
struct Reader<Q4_K> {
  static void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Chunk& out) {
    const auto& block = block_at<Q4_K::Block>(weights, row, chunk);
    for (int i = 0; i < 4; ++i) out.levels[i] = _mm512_and_si512(_mm512_srlv_epi64(twice(block.levels + 32 * i), halves(0, 4)), bytes(15));
    read_k_affines(block.scales, block.d, block.dmin, out);
  }
};

template <>
struct Reader<Q5_K> {
  static void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Chunk& out) {
    const auto& block = block_at<Q5_K::Block>(weights, row, chunk);
    const __m512i high = twice(block.high);
    for (int i = 0; i < 4; ++i) {
      const __m512i low = _mm512_and_si512(_mm512_srlv_epi64(twice(block.low + 32 * i), halves(0, 4)), bytes(15));
      const __m512i fifth = _mm512_and_si512(_mm512_srlv_epi64(high, halves(2 * i, 2 * i + 1)), bytes(1));
      out.levels[i] = _mm512_or_si512(low, _mm512_slli_epi16(fifth, 4));
    }
    read_k_affines(block.scales, block.d, block.dmin, out);
  }
};

template <>
struct Reader<Q6_K> {
  static void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Chunk& out) {
    const auto& block = block_at<Q6_K::Block>(weights, row, chunk);
    for (int half = 0; half < 2; ++half) {
      const __m512i low = _mm512_loadu_si512(block.low + 64 * half), high = twice(block.high + 32 * half);
      const __m512i first = _mm512_and_si512(_mm512_srlv_epi64(high, halves(0, 2)), bytes(3));
      const __m512i second = _mm512_and_si512(_mm512_srlv_epi64(high, halves(4, 6)), bytes(3));
      out.levels[2 * half] = _mm512_or_si512(_mm512_and_si512(low, bytes(15)), _mm512_slli_epi16(first, 4));
      out.levels[2 * half + 1] = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(low, 4), bytes(15)), _mm512_slli_epi16(second, 4));
    }
    const __m512i scales = _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block.scales)));
    out.scales = mul(_mm512_cvtph_ps(_mm256_set1_epi16(static_cast<short>(block.d.bits))), _mm512_cvtepi32_ps(scales));
    out.offsets = zero();
  }
};

// F16 scales of eight blocks of 32 values; inserted one by one, because a store of halves and a wide load would wait.
template <class Block>
inline Vec block_scales(const Block* b, Half Block::*member) {
#define ASSAY_BITS(i) static_cast<short>((b[i].*member).bits)
  const __m128i halves16 = _mm_setr_epi16(ASSAY_BITS(0), ASSAY_BITS(1), ASSAY_BITS(2), ASSAY_BITS(3), ASSAY_BITS(4), ASSAY_BITS(5), ASSAY_BITS(6), ASSAY_BITS(7));
#undef ASSAY_BITS
  return each_twice(_mm256_cvtph_ps(halves16));
}

inline __m512i join(__m256i low, __m256i high) { return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1); }
inline __m256i load32(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }
inline __m256i load16_twice(const void* at) { return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(at))); }

template <>
struct Reader<Q8_0> {
  static void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Chunk& out) {
    if ((chunk + 1) * kChunk > weights.cols) return read_gathered<Q8_0>(weights, row, chunk, out);
    const auto* block = &block_at<Q8_0::Block>(weights, row, chunk * 8);
    for (int i = 0; i < 4; ++i) out.levels[i] = _mm512_xor_si512(join(load32(block[2 * i].values), load32(block[2 * i + 1].values)), bytes(-128));
    out.scales = block_scales(block, &Q8_0::Block::d);
    out.offsets = zero();
  }
};

// Blocks of 32 nibbles: 16 low ones, then 16 high ones.
template <class Block>
inline void read_nibble_blocks(const Block* block, const std::uint8_t (Block::*nibbles)[16], Chunk& out) {
  const __m512i shifts = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
  for (int i = 0; i < 4; ++i) {
    const __m512i pairs = join(load16_twice(block[2 * i].*nibbles), load16_twice(block[2 * i + 1].*nibbles));
    out.levels[i] = _mm512_and_si512(_mm512_srlv_epi64(pairs, shifts), bytes(15));
  }
}
// The fifth bits: one 32-bit word a block, bit j for value j.
template <class Block>
inline void add_fifth_bits(const Block* block, const std::uint8_t (Block::*high)[4], Chunk& out) {
  for (int i = 0; i < 4; ++i) {
    std::uint32_t low_word, high_word;
    std::memcpy(&low_word, block[2 * i].*high, 4);
    std::memcpy(&high_word, block[2 * i + 1].*high, 4);
    out.levels[i] = _mm512_or_si512(out.levels[i], _mm512_maskz_set1_epi8(low_word | (std::uint64_t{high_word} << 32), 16));
  }
}

// Formats of small blocks: nibbles, maybe fifth bits, a scale, maybe a minimum.
template <class F>
struct SmallBlockReader {
  static void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Chunk& out) {
    if ((chunk + 1) * kChunk > weights.cols) return read_gathered<F>(weights, row, chunk, out);
    using Block = typename F::Block;
    const auto* block = &block_at<Block>(weights, row, chunk * 8);
    if constexpr (requires { &Block::low; }) {
      read_nibble_blocks(block, &Block::low, out);
      add_fifth_bits(block, &Block::high, out);
    } else {
      read_nibble_blocks(block, &Block::levels, out);
    }
    out.scales = block_scales(block, &Block::d);
    if constexpr (F::kHasOffset)
      out.offsets = block_scales(block, &Block::min);
    else
      out.offsets = zero();
  }
};
template <>
struct Reader<Q4_0> : SmallBlockReader<Q4_0> {};
template <>
struct Reader<Q4_1> : SmallBlockReader<Q4_1> {};
template <>
struct Reader<Q5_0> : SmallBlockReader<Q5_0> {};
template <>
struct Reader<Q5_1> : SmallBlockReader<Q5_1> {};

// 2, 4 or 8 numbers of a side stream as floats, in the low lanes.
inline __m256 load_side(FormatId format, const std::byte* at, std::size_t first, std::uint32_t count) {
  const __mmask8 present = static_cast<__mmask8>((1u << count) - 1);
  if (format == FormatId::F32) return _mm256_maskz_loadu_ps(present, at + 4 * first);
  const __m128i halves16 = _mm_maskz_loadu_epi16(present, at + 2 * first);
  if (format == FormatId::F16) return _mm256_cvtph_ps(halves16);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves16), 16));
}
// Scales and biases of a whole chunk: 256 / group of each, spread to the lanes of their groups of 16.
inline void read_side(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Chunk& out) {
  const unsigned shift = static_cast<unsigned>(__builtin_ctz(weights.group));
  const std::size_t first = std::size_t{row} * (weights.cols >> shift) + ((chunk * kChunk) >> shift);
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i spread = _mm512_srl_epi32(lanes, _mm_cvtsi32_si128(static_cast<int>(shift) - 4));
  const std::uint32_t count = kChunk >> shift;
  out.scales = _mm512_permutexvar_ps(spread, _mm512_castps256_ps512(load_side(weights.scale_format, weights.scales, first, count)));
  out.offsets = _mm512_permutexvar_ps(spread, _mm512_castps256_ps512(load_side(weights.scale_format, weights.biases, first, count)));
}

template <>
struct Reader<MLX_Q4> {
  static void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Chunk& out) {
    if ((chunk + 1) * kChunk > weights.cols) return read_gathered<MLX_Q4>(weights, row, chunk, out);
    const std::byte* at = weights.data + row * weights.row_bytes + std::size_t{chunk} * (kChunk / 2);
    for (int i = 0; i < 4; ++i) {  // byte b holds values 2b and 2b + 1
      const __m512i pairs = _mm512_cvtepu8_epi16(load32(at + 32 * i));
      out.levels[i] = _mm512_and_si512(_mm512_or_si512(pairs, _mm512_slli_epi16(pairs, 4)), bytes(15));
    }
    read_side(weights, row, chunk, out);
  }
};

template <>
struct Reader<MLX_Q8> {
  static void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Chunk& out) {
    if ((chunk + 1) * kChunk > weights.cols) return read_gathered<MLX_Q8>(weights, row, chunk, out);
    const std::byte* at = weights.data + row * weights.row_bytes + std::size_t{chunk} * kChunk;
    for (int i = 0; i < 4; ++i) out.levels[i] = _mm512_loadu_si512(at + 64 * i);
    read_side(weights, row, chunk, out);
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
