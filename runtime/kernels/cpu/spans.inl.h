// Formats with a scale for 32 values or more: inputs with one scale and one sum for 32 values, their levels in the order of the weights'.
// The same for every vector instruction set, which brings matvec_spans_n() and the orders it reads levels in.

// Of the 256 levels of a chunk in four registers of 64. Registers of one sum have the same span of 32 values in the same lane.
enum class LevelOrder : std::uint8_t {
  file,    // four sums
  halves,  // blocks of 32: of four blocks the first sixteen values, then the last sixteen; two sums
  pairs,   // of 128 values the even ones, then the odd ones; two sums
  fours,   // every fourth value, four times; one sum
};
template <class F>
inline constexpr LevelOrder kOrderOf = LevelOrder::file;
template <LevelOrder Order>
void order_levels(const std::int8_t* from, std::int8_t* to);  // kChunk of them

// What is taken from levels before they are multiplied: without VNNI levels of eight bits are multiplied as signed ones.
template <class F>
inline constexpr int kDotShift = kHasVnni || F::kMaxLevel <= 128 ? 0 : 128;

template <class F>
struct SpanInput {
  static constexpr bool kIsOrdered = kOrderOf<F> != LevelOrder::file;

  alignas(64) std::int8_t ordered[kIsOrdered ? kMostPreparedChunks * kChunk : 1];
  alignas(32) float scales[8 * kMostPreparedChunks];
  alignas(32) float sums[8 * kMostPreparedChunks];  // of formats without offsets: times what their scales are the offset of
  const std::int8_t* levels;                        // kChunk of each chunk

  void prepare(const Inputs& inputs, std::size_t input) {
    const std::uint32_t chunks = chunks_of(inputs.cols);
    const float factor = kOffsetOf<F> ? 1.0f : static_cast<float>(kDotShift<F> - kBiasOf<F>);
    const float *of16 = inputs.scales + input * chunks * kGroupsPerChunk, *sums16 = inputs.sums + input * chunks * kGroupsPerChunk;
    for (std::uint32_t i = 0; i < 8 * chunks; ++i) {
      scales[i] = of16[2 * i];
      sums[i] = factor * (sums16[2 * i] + sums16[2 * i + 1]);
    }
    levels = inputs.levels + input * chunks * kChunk;
    if constexpr (kIsOrdered) {
      for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) order_levels<kOrderOf<F>>(levels + chunk * kChunk, ordered + chunk * kChunk);
      levels = ordered;
    }
  }
};

// Scales and biases of one row of an MLX format, read many at a time.
class SideRow {
 public:
  void start(const WeightRows& weights, std::uint32_t row) {
    const std::uint32_t count = weights.cols / weights.group;
    const std::size_t first = std::size_t{row} * count;
    per_chunk_ = kChunk / weights.group;
    lanes_ = _mm256_srl_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm_cvtsi32_si128(__builtin_ctz(weights.group) - 5));
    if (weights.scale_format == FormatId::F16) return read_all<F16>(weights, first, count);
    if (weights.scale_format == FormatId::BF16) return read_all<BF16>(weights, first, count);
    read_all<F32>(weights, first, count);
  }
  void read(std::uint32_t chunk, Spans& out) const {
    out.scales = _mm256_permutevar8x32_ps(_mm256_loadu_ps(scales_ + chunk * per_chunk_), lanes_);
    out.offsets = _mm256_permutevar8x32_ps(_mm256_loadu_ps(biases_ + chunk * per_chunk_), lanes_);
  }

 private:
  template <class F>
  void read_all(const WeightRows& weights, std::size_t first, std::uint32_t count) {
    constexpr std::type_identity<F> kFormat;
    const std::byte *scales = weights.scales + first * sizeof(typename F::Element), *biases = weights.biases + first * sizeof(typename F::Element);
    std::uint32_t i = 0;
    for (std::size_t at = 0; at < count * sizeof(typename F::Element); at += 64) {
      __builtin_prefetch(scales + kSideAhead + at, 0, 2);
      __builtin_prefetch(biases + kSideAhead + at, 0, 2);
    }
    for (; i + 16 <= count; i += 16) {
      store(scales_ + i, load_weights(kFormat, scales, i));
      store(biases_ + i, load_weights(kFormat, biases, i));
    }
    if (i < count) {
      store(scales_ + i, load_weights_part(kFormat, scales, i, count - i));
      store(biases_ + i, load_weights_part(kFormat, biases, i, count - i));
    }
  }

  static constexpr std::size_t kSideAhead = 1024;
  alignas(64) float scales_[kMostPreparedChunks * 8 + 16], biases_[kMostPreparedChunks * 8 + 16];
  std::uint32_t per_chunk_;
  __m256i lanes_;
};

template <class F, class Out>
[[gnu::always_inline]] inline void read_spans(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, const SideRow& side, Out& out) {
  if constexpr (MlxFormat<F>) {
    Reader<F>::read_levels(weights, row, chunk, out);
    side.read(chunk, out);
  } else {
    Reader<F>::read(weights, row, chunk, out);
  }
}
