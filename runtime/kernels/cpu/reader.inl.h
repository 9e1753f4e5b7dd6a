// Readers: one chunk of one row from the file's bytes into registers; the same for every vector instruction set.
//
// An instruction set brings, before affines.inl.h and this file, struct Chunk and struct Spans (Levels with scales and offsets of groups
// of 16 or of 32) and the small helpers on Vec; after them, overloads of decode_levels(const Block* blocks, Levels& out) for whole
// chunks, and decode_stream<Bits>(at, out) for MLX. They are inlined, so that levels stay in registers. A type of its own that is made of
// Spans can have overloads that give levels in another order (OrderedSpans).

template <class F>
struct Reader;

// Of groups of 32 those of groups of 16.
inline void spread_affines(const Spans& spans, Chunk& out) {
  out.scales = each_twice(spans.scales);
  out.offsets = each_twice(spans.offsets);
}

template <BlockFormat F>
struct Reader<F> {
  template <class Out>
  [[gnu::always_inline]] static void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Out& out) {
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
    decode_levels(blocks, out);
    if constexpr (kScalesSpan32<F> && std::is_same_v<Out, Chunk>) {
      Spans spans;
      decode_affines(blocks, spans);
      spread_affines(spans, out);
    } else {
      decode_affines(blocks, out);
    }
  }
};

// `count` <= 8 16-bit words from word `first` on, zeros after them. Whole chunks have 8, 4 or 2; masked loads are slow on some
// processors, and those of 16-bit words many times slower on all.
inline __m128i load_words(const std::byte* at, std::size_t first, std::uint32_t count) {
  at += 2 * first;
  if (count == 8) return load16(at);
  if (count == 4) return load8(at);
  if (count == 2) return _mm_cvtsi32_si128(word_at<std::int32_t>(at));
  std::uint64_t low = 0, high = 0;
  for (std::uint32_t i = 0; i < count; ++i) (i < 4 ? low : high) |= std::uint64_t{word_at<std::uint16_t>(at + 2 * i)} << (16 * (i % 4));
  return _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
}
// `count` <= 8 numbers of a side stream from number `first` on, in the low lanes.
inline __m256 load_side(FormatId format, const std::byte* at, std::size_t first, std::uint32_t count) {
  if (format == FormatId::BF16) return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_words(at, first, count)), 16));
  if (format == FormatId::F16) return _mm256_cvtph_ps(load_words(at, first, count));
  const __m256i present = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  return _mm256_maskload_ps(reinterpret_cast<const float*>(at + 4 * first), present);
}
// Scales and biases of `present` values: one of each per group of 32 or more, spread to the lanes of their groups of 32.
inline void read_side(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, std::uint32_t present, Spans& out) {
  const unsigned shift = static_cast<unsigned>(__builtin_ctz(weights.group));
  const std::size_t first = std::size_t{row} * (weights.cols >> shift) + ((chunk * kChunk) >> shift);
  const __m256i lanes = _mm256_srl_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm_cvtsi32_si128(static_cast<int>(shift) - 5));
  out.scales = _mm256_permutevar8x32_ps(load_side(weights.scale_format, weights.scales, first, present >> shift), lanes);
  out.offsets = _mm256_permutevar8x32_ps(load_side(weights.scale_format, weights.biases, first, present >> shift), lanes);
}
inline void read_side(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, std::uint32_t present, Chunk& out) {
  Spans spans;
  read_side(weights, row, chunk, present, spans);
  spread_affines(spans, out);
}

template <MlxFormat F>
struct Reader<F> {
  template <class Out>
  [[gnu::always_inline]] static void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Out& out) {
    read_levels(weights, row, chunk, out);
    read_side(weights, row, chunk, std::min(kChunk, weights.cols - chunk * kChunk), out);
  }
  template <class Out>
  [[gnu::always_inline]] static void read_levels(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, Out& out) {
    const std::uint32_t present = std::min(kChunk, weights.cols - chunk * kChunk);
    const std::byte* at = weights.data + row * weights.row_bytes + chunk * kChunkBytes<F>;
    alignas(64) std::byte padded[kChunkBytes<F>];
    if (present < kChunk) [[unlikely]] {
      std::memset(padded, 0, sizeof padded);
      std::memcpy(padded, at, std::size_t{present} / 8 * F::kBits);
      at = padded;
    }
    decode_stream<F::kBits>(at, out);
  }
};
