// Mat-mul for AVX2: 32 rows x 256 values are unpacked once into a register-ordered tile, then used for every input. Products of
// bytes are summed in 16 bits as long as they fit; formats of full bytes are multiplied in 16 bits from the start.

template <class F>
inline constexpr int kGroupOf = 32;  // values per weight scale; MLX groups are 32, 64 or 128
template <BlockFormat F>
inline constexpr int kGroupOf<F> = F::kGroup < 32 ? 16 : 32;
// What is taken from levels to make them signed: their bias, or the middle of their range where an offset can make up for it.
template <class F>
inline constexpr int kShiftOf = kOffsetOf<F> ? (F::kMaxLevel + 1) / 2 : kBiasOf<F>;
template <class F>
inline constexpr int kLargestOf = std::max(kShiftOf<F>, F::kMaxLevel - kShiftOf<F>);
// Two products of an input byte (up to 255) and a weight fit in 16 bits up to here.
template <class F>
inline constexpr bool kIsWide = kLargestOf<F> > 64;
// Steps of four values whose products are summed in 16 bits: a power of two.
template <class F>
inline constexpr int kRunOf = 32767 / (2 * 255 * kLargestOf<F>) >= 8 ? 8 : 32767 / (2 * 255 * kLargestOf<F>) >= 4 ? 4 : 32767 / (2 * 255 * kLargestOf<F>) >= 2 ? 2 : 1;

// Signed weights of one chunk, the values of one step of 8 rows in a register: 4 bytes a row, or 2 words where bytes are too small.
template <bool Wide>
struct LevelTile {
  using Level = std::conditional_t<Wide, std::int16_t, std::int8_t>;
  static constexpr std::uint32_t kStep = 4 / sizeof(Level);
  alignas(32) Level levels[kChunk / kStep][kTileRows][kStep];
  alignas(32) float scales[kGroupsPerChunk][kTileRows];
  alignas(32) float offsets[kGroupsPerChunk][kTileRows];
  alignas(32) std::int32_t starts[kGroupsPerChunk][kTileRows];  // bytes: -128 * (sum of a group's levels), as inputs are levels + 128
};
struct FloatTile {
  alignas(32) float values[kChunk][kTileRows];
};

inline __m256i load_words(const void* at) { return _mm256_load_si256(static_cast<const __m256i*>(at)); }
inline void store_words(void* at, __m256i v) { _mm256_store_si256(static_cast<__m256i*>(at), v); }
inline __m256i splat_word(const void* at) { return _mm256_set1_epi32(word_at<std::int32_t>(at)); }

// 8 rows of 8 words, `row_words` apart, to 8 rows of a tile's columns.
inline void transpose_words(const void* rows, std::size_t row_words, void* out) {
  __m256i r[8], t[8];
  for (std::size_t i = 0; i < 8; ++i) r[i] = load_words(static_cast<const std::int32_t*>(rows) + row_words * i);
  for (int i = 0; i < 8; i += 4) {
    const __m256i a = _mm256_unpacklo_epi32(r[i], r[i + 1]), b = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    const __m256i c = _mm256_unpacklo_epi32(r[i + 2], r[i + 3]), d = _mm256_unpackhi_epi32(r[i + 2], r[i + 3]);
    t[i] = _mm256_unpacklo_epi64(a, c), t[i + 1] = _mm256_unpackhi_epi64(a, c);
    t[i + 2] = _mm256_unpacklo_epi64(b, d), t[i + 3] = _mm256_unpackhi_epi64(b, d);
  }
  std::int32_t* to = static_cast<std::int32_t*>(out);
  for (std::size_t j = 0; j < 4; ++j) {
    store_words(to + kTileRows * j, _mm256_permute2x128_si256(t[j], t[4 + j], 0x20));
    store_words(to + kTileRows * (4 + j), _mm256_permute2x128_si256(t[j], t[4 + j], 0x31));
  }
}

// Levels of one row to signed bytes or words in order.
template <class F>
inline void store_levels(const Chunk& q, typename LevelTile<kIsWide<F>>::Level* to) {
  for (int i = 0; i < 8; ++i) {
    if constexpr (kIsWide<F>) {
      const __m256i shift = _mm256_set1_epi16(kShiftOf<F>);
      store_words(to + 32 * i, _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm256_castsi256_si128(q.levels[i])), shift));
      store_words(to + 32 * i + 16, _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm256_extracti128_si256(q.levels[i], 1)), shift));
    } else {
      store_words(to + 32 * i, _mm256_sub_epi8(q.levels[i], bytes(kShiftOf<F>)));
    }
  }
}

// `rows` <= 32 are there; the others become zero.
template <class F>
void unpack_tile(const WeightRows& weights, std::uint32_t first_row, std::uint32_t rows, std::uint32_t chunk, LevelTile<kIsWide<F>>& tile) {
  using Tile = LevelTile<kIsWide<F>>;
  alignas(32) typename Tile::Level levels[8][kChunk];
  alignas(32) float scales[8][kGroupsPerChunk], offsets[8][kGroupsPerChunk];
  constexpr std::uint32_t kWords = kChunk / Tile::kStep;
  const Vec offset_per_scale = splat(static_cast<float>(kShiftOf<F> - kBiasOf<F>));
  for (std::uint32_t part = 0; part < kTileRows; part += 8) {
    for (std::uint32_t r = 0; r < 8; ++r) {
      if (part + r < rows) {
        Chunk q;
        Reader<F>::read(weights, first_row + part + r, chunk, q);
        store_levels<F>(q, levels[r]);
        store(scales[r], q.scales);
        store(offsets[r], kShiftOf<F> != kBiasOf<F> ? fma(offset_per_scale, q.scales, q.offsets) : q.offsets);
      } else {
        std::memset(levels[r], 0, sizeof levels[r]);
        std::memset(scales[r], 0, sizeof scales[r]);
        std::memset(offsets[r], 0, sizeof offsets[r]);
      }
    }
    for (std::uint32_t word = 0; word < kWords; word += 8) transpose_words(&levels[0][word * Tile::kStep], kWords, tile.levels[word][part]);
    for (std::uint32_t g = 0; g < kGroupsPerChunk; g += 8) {
      transpose_words(&scales[0][g], kGroupsPerChunk, tile.scales[g] + part);
      if (kOffsetOf<F>) transpose_words(&offsets[0][g], kGroupsPerChunk, tile.offsets[g] + part);
    }
  }
  if constexpr (!kIsWide<F>) {
    constexpr std::uint32_t kSteps = kGroupOf<F> / 4;
    for (std::uint32_t g = 0; g < kChunk / kGroupOf<F>; ++g)
      for (std::uint32_t part = 0; part < kTileRows; part += 8) {
        __m256i sum = _mm256_setzero_si256();
        for (std::uint32_t k = 0; k < kSteps; ++k)
          sum = _mm256_sub_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(bytes(-128), load_words(tile.levels[g * kSteps + k][part])), _mm256_set1_epi16(1)));
        store_words(tile.starts[g] + part, sum);
      }
  }
}

// sum += term. gcc gathers the terms of many steps before it adds them, which spills them all; this keeps the order.
inline void add_words(__m256i& sum, __m256i term) {
  sum = _mm256_add_epi32(sum, term);
  asm("" : "+x"(sum));
}

// Dots of group g of 16 rows from `row` on with C inputs from `c0` on.
template <class F, int C>
inline void dot_group(const LevelTile<false>& tile, const LevelPanel& panel, std::uint32_t g, std::uint32_t row, std::uint32_t c0, __m256i (&dot)[2][C]) {
  constexpr std::uint32_t kSteps = kGroupOf<F> / 4, kRun = std::min<std::uint32_t>(kRunOf<F>, kSteps);
  const __m256i ones = _mm256_set1_epi16(1);
  for (int v = 0; v < 2; ++v)
    for (int c = 0; c < C; ++c) dot[v][c] = load_words(tile.starts[g] + row + 8 * v);
#pragma GCC unroll 8
  for (std::uint32_t run = 0; run < kSteps; run += kRun) {
    __m256i sum[2][C];
#pragma GCC unroll 8
    for (std::uint32_t k = run; k < run + kRun; ++k) {
      const std::uint32_t step = g * kSteps + k;
      const __m256i w0 = load_words(tile.levels[step][row]), w1 = load_words(tile.levels[step][row + 8]);
#pragma GCC unroll 3
      for (int c = 0; c < C; ++c) {
        const __m256i x = splat_word(panel.levels[step][c0 + c]);
        const __m256i p0 = _mm256_maddubs_epi16(x, w0), p1 = _mm256_maddubs_epi16(x, w1);
        sum[0][c] = k == run ? p0 : _mm256_add_epi16(sum[0][c], p0);
        sum[1][c] = k == run ? p1 : _mm256_add_epi16(sum[1][c], p1);
      }
    }
    for (int v = 0; v < 2; ++v)
      for (int c = 0; c < C; ++c) add_words(dot[v][c], _mm256_madd_epi16(sum[v][c], ones));
  }
}
// The same in words; `levels` of the panel are widened.
using WideLevels = std::int16_t[kChunk / 4][kPanel][4];
template <class F, int C>
inline void dot_group(const LevelTile<true>& tile, const WideLevels& levels, std::uint32_t g, std::uint32_t row, std::uint32_t c0, __m256i (&dot)[2][C]) {
  constexpr std::uint32_t kSteps = kGroupOf<F> / 2;
  for (int v = 0; v < 2; ++v)
    for (int c = 0; c < C; ++c) dot[v][c] = _mm256_setzero_si256();
#pragma GCC unroll 16
  for (std::uint32_t k = 0; k < kSteps; ++k) {
    const std::uint32_t step = g * kSteps + k;
    const __m256i w0 = load_words(tile.levels[step][row]), w1 = load_words(tile.levels[step][row + 8]);
#pragma GCC unroll 3
    for (int c = 0; c < C; ++c) {
      const __m256i x = splat_word(levels[step / 2][c0 + c] + 2 * (step % 2));
      add_words(dot[0][c], _mm256_madd_epi16(x, w0));
      add_words(dot[1][c], _mm256_madd_epi16(x, w1));
    }
  }
}
inline void widen_levels(const LevelPanel& panel, WideLevels& out) {
  const std::uint8_t* from = panel.levels[0][0];
  for (std::size_t i = 0; i < kChunk * kPanel; i += 16)
    store_words(&out[0][0][0] + i, _mm256_sub_epi16(_mm256_cvtepu8_epi16(load16(from + i)), _mm256_set1_epi16(128)));
}

// The sum of an input's values that share a weight scale.
template <int Group>
inline float input_sum(const LevelPanel& panel, std::uint32_t g, std::uint32_t c) {
  if constexpr (Group == 32) return panel.sums[g][c];
  return static_cast<float>(panel.pairs16[g / 2][c][g % 2]) * panel.pair_scales[c];
}

// One tile times C inputs of one panel, added to sums[input][row].
template <class F, int C, class Levels>
[[gnu::noinline]] void multiply_levels(const LevelTile<kIsWide<F>>& tile, const LevelPanel& panel, const Levels& levels, std::uint32_t c0, float* sums) {
  constexpr int kGroup = kGroupOf<F>;
  for (std::uint32_t row = 0; row < kTileRows; row += 16) {
    for (std::uint32_t g = 0; g < kChunk / kGroup; ++g) {
      __m256i dot[2][C];
      dot_group<F, C>(tile, levels, g, row, c0, dot);
      const std::uint32_t scale_row = g * kGroup / 16;
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const __m256 scale = _mm256_load_ps(tile.scales[scale_row] + row + 8 * v), offset = _mm256_load_ps(tile.offsets[scale_row] + row + 8 * v);
#pragma GCC unroll 3
        for (std::uint32_t c = 0; c < C; ++c) {
          float* to = sums + kTileRows * std::size_t{c0 + c} + row + 8 * v;
          const __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(dot[v][c]), scale);
          __m256 sum = _mm256_fmadd_ps(value, _mm256_set1_ps(panel.scales[g * kGroup / 32][c0 + c]), _mm256_load_ps(to));
          if constexpr (kOffsetOf<F>) sum = _mm256_fmadd_ps(offset, _mm256_set1_ps(input_sum<kGroup>(panel, g, c0 + c)), sum);
          _mm256_store_ps(to, sum);
        }
      }
    }
  }
}

[[gnu::noinline]] void multiply_floats(const FloatTile& tile, const FloatPanel& panel, float* sums) {
  for (std::uint32_t row = 0; row < kTileRows; row += 16) {
    Vec sum[kPanel];
    for (std::uint32_t c = 0; c < kPanel; ++c) sum[c] = load(sums + kTileRows * c + row);
    for (std::uint32_t k = 0; k < kChunk; ++k) {
      const Vec w = load(tile.values[k] + row);
#pragma GCC unroll 6
      for (std::uint32_t c = 0; c < kPanel; ++c) sum[c] = fma(w, splat(panel.values[k][c]), sum[c]);
    }
    for (std::uint32_t c = 0; c < kPanel; ++c) store(sums + kTileRows * c + row, sum[c]);
  }
}

template <class F>
struct LevelTraits {
  // The packing with a scale for 64 values has 16-bit sums of inputs, which groups of 16 need for their offsets.
  static constexpr Packing kPacking = kOffsetOf<F> && kGroupOf<F> == 16 ? Packing::levels64 : Packing::levels32;
  using Tile = LevelTile<kIsWide<F>>;
  using Panel = LevelPanel;
  static void unpack(const WeightRows& weights, std::uint32_t row, std::uint32_t rows, std::uint32_t chunk, Tile& tile) {
    unpack_tile<F>(weights, row, rows, chunk, tile);
  }
  static void multiply(const Tile& tile, const Panel& panel, std::uint32_t inputs, float* sums) {
    const auto both_halves = [&](const auto& levels) {
      multiply_levels<F, 3>(tile, panel, levels, 0, sums);
      if (inputs > 3) multiply_levels<F, 3>(tile, panel, levels, 3, sums);
    };
    if constexpr (kIsWide<F>) {
      alignas(32) WideLevels levels;
      widen_levels(panel, levels);
      both_halves(levels);
    } else {
      both_halves(panel);
    }
  }
};

template <class F>
struct FloatTraits {
  static constexpr Packing kPacking = Packing::floats;
  using Tile = FloatTile;
  using Panel = FloatPanel;
  static void unpack(const WeightRows& weights, std::uint32_t first_row, std::uint32_t rows, std::uint32_t chunk, Tile& tile) {
    constexpr std::type_identity<F> kFormat;
    alignas(32) float block[8][16];
    for (std::uint32_t at = 0; at < kChunk; at += 16) {
      const std::uint32_t first = chunk * kChunk + at, present = first < weights.cols ? std::min(16u, weights.cols - first) : 0;
      for (std::uint32_t part = 0; part < kTileRows; part += 8) {
        for (std::uint32_t r = 0; r < 8; ++r) {
          const std::byte* row = weights.data + (first_row + part + r) * weights.row_bytes;
          if (part + r >= rows || present == 0)
            store(block[r], zero());
          else
            store(block[r], present == 16 ? load_weights(kFormat, row, first) : load_weights_part(kFormat, row, first, present));
        }
        for (std::uint32_t half = 0; half < 16; half += 8) transpose_words(block[0] + half, 16, tile.values[at + half] + part);
      }
    }
  }
  static void multiply(const Tile& tile, const Panel& panel, std::uint32_t, float* sums) { multiply_floats(tile, panel, sums); }
};

// Sums [input][32 rows] to their places.
inline void write_tile(const float* sums, std::uint32_t inputs, std::uint32_t row, std::uint32_t rows, const Outputs& out) {
  for (std::uint32_t n = 0; n < inputs; ++n) {
    const float* from = sums + kTileRows * std::size_t{n};
    float* to = out.data + n * out.stride + row;
    for (std::uint32_t i = 0; i < rows; ++i) to[i] = out.add ? to[i] + from[i] : from[i];
  }
}

template <class Traits>
void matmul(const WeightRows& weights, const PackedInputs& inputs, std::uint32_t begin, std::uint32_t end, float* scratch, const Outputs& out) {
  const std::uint32_t panels = panels_of(inputs.count), chunks = chunks_of(inputs.cols);
  typename Traits::Tile tile;
  for (std::uint32_t row = begin; row < end; row += kTileRows) {
    const std::uint32_t rows = std::min(kTileRows, end - row);
    std::memset(scratch, 0, matmul_scratch_floats(inputs.count) * sizeof(float));
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      Traits::unpack(weights, row, rows, chunk, tile);
      // What is unpacked next: the following chunk, or the first one of the rows below, which often are this thread's, too.
      const bool is_last = chunk + 1 == chunks;
      const std::uint32_t next_row = is_last ? row + kTileRows : row, next_chunk = is_last ? 0 : chunk + 1;
      RowsAhead ahead(weights, next_row, next_row + kTileRows, next_chunk, panels);
      for (std::uint32_t p = 0; p < panels; ++p) {
        ahead.fetch();
        Traits::multiply(tile, *inputs.panel<typename Traits::Panel>(chunk, p), std::min(kPanel, inputs.count - p * kPanel), scratch + std::size_t{p} * kPanel * kTileRows);
      }
    }
    write_tile(scratch, inputs.count, row, rows, out);
  }
}
