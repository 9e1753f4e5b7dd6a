// Mat-mul for AVX-512 VNNI: 32 rows x 256 values are unpacked once into a register-ordered tile, then used for every input. A tile of
// two registers of rows times six inputs needs 8 loads for 12 multiply-adds, so that the two load ports do not bound it.

// What one of kTilesTogether multiplications by a panel fetches in Times calls: rows that are unpacked next, and its part of the panel
// that comes next. Panels are read with broadcasts, whose misses the hardware foresees too late where they lie in the third cache level.
template <class Panel, int Times>
class Ahead {
 public:
  Ahead(RowsAhead& rows, const Panel& next, std::uint32_t tile) : rows_(rows), at_(reinterpret_cast<const std::byte*>(&next) + tile * Times * kLines * kLine) {}
  void fetch() {
    rows_.fetch();
#pragma GCC unroll 16
    for (int i = 0; i < kLines; ++i) __builtin_prefetch(at_ + i * kLine, 0, 3);
    at_ += kLines * kLine;
  }

 private:
  static constexpr int kLines = sizeof(Panel) / kLine / (Times * kTilesTogether);
  RowsAhead& rows_;
  const std::byte* at_;
};

// Sums [input][32 rows] of one panel and tile: of the chunks before, none before the first.
class TileSums {
 public:
  TileSums(float* sums, bool is_first) : sums_(sums), there_(is_first ? 0 : 0xffff) {}
  Vec read(int input, int half) const { return _mm512_maskz_load_ps(there_, at(input, half)); }
  void write(int input, int half, Vec sum) { store(at(input, half), sum); }
  // For those that are read and written several times: zeros before the first chunk.
  void begin(int inputs) {
    if (there_ == 0) clear(sums_, kTileRows * static_cast<std::size_t>(inputs));
    there_ = 0xffff;
  }

 private:
  float* at(int input, int half) const { return sums_ + kTileRows * static_cast<std::size_t>(input) + 16 * half; }
  float* sums_;
  __mmask16 there_;
};

// The dots of one group (Group values from step `first` on) of 32 rows and C inputs.
template <int Group, int C>
inline void dot_group(const LevelTile& tile, const LevelPanel& panel, int g, __m512i (&low)[C], __m512i (&high)[C]) {
  constexpr int kSteps = Group / 4;
  const __m512i start_low = _mm512_load_si512(tile.starts[g]), start_high = _mm512_load_si512(tile.starts[g] + 16);
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c) low[c] = start_low, high[c] = start_high;
#pragma GCC unroll 8
  for (int k = 0; k < kSteps; ++k) {
    const __m512i w_low = _mm512_load_si512(tile.levels[g * kSteps + k]), w_high = _mm512_load_si512(tile.levels[g * kSteps + k][16]);
#pragma GCC unroll 6
    for (int c = 0; c < C; ++c) {
      const __m512i x = splat_word(panel.levels[g * kSteps + k][c]);
      add_fours(low[c], x, w_low);
      add_fours(high[c], x, w_high);
    }
  }
}

// One tile times C inputs of one panel, added to sums[input][row]. Weights and inputs have a scale for Group values.
template <int Group, bool kOffsets, int C>
[[gnu::noinline]] void multiply_groups(const LevelTile& tile, const LevelPanel& panel, Ahead<LevelPanel, kChunk / Group> ahead, TileSums sums) {
  Vec low[C], high[C];
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c) low[c] = sums.read(c, 0), high[c] = sums.read(c, 1);
  for (int g = 0; g < static_cast<int>(kChunk) / Group; ++g) {
    ahead.fetch();
    __m512i dot_low[C], dot_high[C];
    dot_group<Group, C>(tile, panel, g, dot_low, dot_high);
    const Vec scale_low = load(tile.scales[g]), scale_high = load(tile.scales[g] + 16);
#pragma GCC unroll 6
    for (int c = 0; c < C; ++c) {
      const Vec scale = splat(panel.scales[g * Group / 32][c]);
      low[c] = fma(mul(_mm512_cvtepi32_ps(dot_low[c]), scale_low), scale, low[c]);
      high[c] = fma(mul(_mm512_cvtepi32_ps(dot_high[c]), scale_high), scale, high[c]);
      if constexpr (kOffsets) {
        static_assert(Group == 32);
        const Vec sum = splat(panel.sums[g][c]);
        low[c] = fma(load(tile.offsets[g]), sum, low[c]);
        high[c] = fma(load(tile.offsets[g] + 16), sum, high[c]);
      }
    }
  }
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c) sums.write(c, 0, low[c]), sums.write(c, 1, high[c]);
}

// The same where inputs have a scale for 64 values, weights for 32. No registers are left for the sums.
template <int C>
[[gnu::noinline]] void multiply_halves(const LevelTile& tile, const LevelPanel& panel, Ahead<LevelPanel, kChunk / 64> ahead, TileSums sums) {
  sums.begin(C);
  for (int outer = 0; outer < static_cast<int>(kChunk) / 64; ++outer) {
    ahead.fetch();
    Vec low[C], high[C];
#pragma GCC unroll 2
    for (int inner = 0; inner < 2; ++inner) {
      const int g = 2 * outer + inner;
      __m512i dot_low[C], dot_high[C];
      dot_group<32, C>(tile, panel, g, dot_low, dot_high);
      const Vec scale_low = load(tile.scales[g]), scale_high = load(tile.scales[g] + 16);
#pragma GCC unroll 6
      for (int c = 0; c < C; ++c) {
        const Vec value_low = _mm512_cvtepi32_ps(dot_low[c]), value_high = _mm512_cvtepi32_ps(dot_high[c]);
        low[c] = inner == 0 ? mul(value_low, scale_low) : fma(value_low, scale_low, low[c]);
        high[c] = inner == 0 ? mul(value_high, scale_high) : fma(value_high, scale_high, high[c]);
      }
    }
#pragma GCC unroll 6
    for (int c = 0; c < C; ++c) {
      const Vec scale = splat(panel.scales[2 * outer][c]);
      sums.write(c, 0, fma(low[c], scale, sums.read(c, 0)));
      sums.write(c, 1, fma(high[c], scale, sums.read(c, 1)));
    }
  }
}

// The same where the whole tile has one scale, and 64 inputs.
template <int C>
[[gnu::noinline]] void multiply_spread(const LevelTile& tile, const LevelPanel& panel, Ahead<LevelPanel, kChunk / 64> ahead, TileSums sums) {
  Vec low[C], high[C];
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c) low[c] = high[c] = zero();
  for (int g = 0; g < static_cast<int>(kChunk) / 64; ++g) {
    ahead.fetch();
    __m512i dot_low[C], dot_high[C];
    dot_group<64, C>(tile, panel, g, dot_low, dot_high);
#pragma GCC unroll 6
    for (int c = 0; c < C; ++c) {
      const Vec scale = splat(panel.scales[2 * g][c]);
      low[c] = fma(_mm512_cvtepi32_ps(dot_low[c]), scale, low[c]);
      high[c] = fma(_mm512_cvtepi32_ps(dot_high[c]), scale, high[c]);
    }
  }
  const Vec scale_low = load(tile.scales[0]), scale_high = load(tile.scales[0] + 16);
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c) {
    sums.write(c, 0, fma(low[c], scale_low, sums.read(c, 0)));
    sums.write(c, 1, fma(high[c], scale_high, sums.read(c, 1)));
  }
}

constexpr int kFloatFetches = 4;

template <int C>
[[gnu::noinline]] void multiply_floats(const FloatTile& tile, const FloatPanel& panel, Ahead<FloatPanel, kFloatFetches> ahead, TileSums sums) {
  Vec low[C], high[C];
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c) low[c] = sums.read(c, 0), high[c] = sums.read(c, 1);
#pragma GCC unroll 4
  for (std::uint32_t k = 0; k < kChunk; ++k) {
    if (k % (kChunk / kFloatFetches) == 0) ahead.fetch();
    const Vec w_low = load(tile.values[k]), w_high = load(tile.values[k] + 16);
#pragma GCC unroll 6
    for (int c = 0; c < C; ++c) {
      const Vec x = splat(panel.values[k][c]);
      low[c] = fma(w_low, x, low[c]);
      high[c] = fma(w_high, x, high[c]);
    }
  }
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c) sums.write(c, 0, low[c]), sums.write(c, 1, high[c]);
}

// The last panel may be narrower: it is computed as 2, 4 or 6 inputs.
template <class Traits>
inline void multiply_panel(const typename Traits::Tile& tile, const typename Traits::Panel& panel, std::uint32_t inputs, typename Traits::Ahead ahead, TileSums sums) {
  if (inputs > 4)
    Traits::template multiply<6>(tile, panel, ahead, sums);
  else if (inputs > 2)
    Traits::template multiply<4>(tile, panel, ahead, sums);
  else
    Traits::template multiply<2>(tile, panel, ahead, sums);
}

// Sums [input][32 rows] of one panel to their places.
inline void write_panel(const float* sums, std::uint32_t inputs, std::uint32_t rows, float* to, const Outputs& out) {
  const __mmask32 present = rows == 32 ? ~__mmask32{0} : (__mmask32{1} << rows) - 1;
  const __mmask16 parts[2] = {static_cast<__mmask16>(present), static_cast<__mmask16>(present >> 16)};
  for (std::uint32_t n = 0; n < inputs; ++n, to += out.stride) {
    for (int half = 0; half < 2; ++half) {
      Vec value = load(sums + kTileRows * std::size_t{n} + 16 * half);
      if (out.add) value = add(value, _mm512_maskz_loadu_ps(parts[half], to + 16 * half));
      _mm512_mask_storeu_ps(to + 16 * half, parts[half], value);
    }
  }
}
inline void prefetch_panel(std::uint32_t inputs, const float* to, const Outputs& out) {
  for (std::uint32_t n = 0; n < inputs; ++n, to += out.stride)
    for (int i = 0; i < 3; ++i) __builtin_prefetch(to + 16 * i, 1, 3);  // 32 rows touch up to three lines
}

// Two tiles at a time: what a panel brings into the first cache level serves both. Scratch holds [panel][tile][input][row].
template <class Traits>
void matmul(const WeightRows& weights, const PackedInputs& inputs, std::uint32_t begin, std::uint32_t end, float* scratch, const Outputs& out) {
  const std::uint32_t panels = panels_of(inputs.count), chunks = chunks_of(inputs.cols);
  constexpr std::size_t kTileSums = std::size_t{kPanel} * kTileRows;
  typename Traits::Tile tiles[kTilesTogether];
  for (std::uint32_t row = begin; row < end; row += kTilesTogether * kTileRows) {
    const std::uint32_t rows = std::min(kTilesTogether * kTileRows, end - row), tile_count = (rows + kTileRows - 1) / kTileRows;
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      // What is unpacked next: the following chunk, or the first one of the rows below, which often are this thread's, too.
      const bool is_last = chunk + 1 == chunks;
      const std::uint32_t next_row = is_last ? row + kTilesTogether * kTileRows : row, next_chunk = is_last ? 0 : chunk + 1;
      for (std::uint32_t t = 0; t < tile_count; ++t) Traits::unpack(weights, row + t * kTileRows, std::min(kTileRows, rows - t * kTileRows), chunk, tiles[t]);
      RowsAhead rows_ahead(weights, next_row, next_row + kTilesTogether * kTileRows, next_chunk, panels * tile_count * Traits::kFetches);
      for (std::uint32_t p = 0; p < panels; ++p) {
        const std::uint32_t present = std::min(kPanel, inputs.count - p * kPanel);
        const auto& panel = *inputs.panel<typename Traits::Panel>(chunk, p);
        const auto& next_panel = p + 1 < panels ? *inputs.panel<typename Traits::Panel>(chunk, p + 1) : *inputs.panel<typename Traits::Panel>(next_chunk, 0);
        for (std::uint32_t t = 0; t < tile_count; ++t) {
          const std::uint32_t first = t * kTileRows, its_rows = std::min(kTileRows, rows - first);
          float* sums = scratch + (std::size_t{p} * kTilesTogether + t) * kTileSums;
          float* to = out.data + std::size_t{p} * kPanel * out.stride + row + first;
          if (is_last) prefetch_panel(present, to, out);
          multiply_panel<Traits>(tiles[t], panel, present, {rows_ahead, next_panel, t}, {sums, chunk == 0});
          if (is_last) write_panel(sums, present, its_rows, to, out);
        }
      }
    }
  }
}

template <class F>
inline constexpr bool kHasSuperBlock = false;
template <BlockFormat F>
inline constexpr bool kHasSuperBlock<F> = F::kBlock == 256;

template <class F>
struct LevelTraits {
  // Where the reference programs use an input scale for 256 values (K-quants, IQ), 64 keep the error well below theirs.
  static constexpr Packing kPacking = kIsSpread<F> || kHasSuperBlock<F> ? Packing::levels64 : Packing::levels32;
  static constexpr int kInputGroup = kPacking == Packing::levels64 ? 64 : 32;
  static constexpr int kFetches = kChunk / kInputGroup;
  using Tile = LevelTile;
  using Panel = LevelPanel;
  using Ahead = avx512_vnni::Ahead<Panel, kFetches>;
  static void unpack(const WeightRows& weights, std::uint32_t row, std::uint32_t rows, std::uint32_t chunk, Tile& tile) {
    unpack_tile<F>(weights, row, rows, chunk, tile);
  }
  template <int C>
  static void multiply(const Tile& tile, const Panel& panel, const Ahead& ahead, TileSums sums) {
    if constexpr (kSpanOf<F> == kChunk)
      multiply_spread<C>(tile, panel, ahead, sums);
    else if constexpr (kSpanOf<F> == kInputGroup)
      multiply_groups<kInputGroup, kHasOffsets<F>, C>(tile, panel, ahead, sums);
    else {
      static_assert(kSpanOf<F> == 32 && kInputGroup == 64 && !kHasOffsets<F>);
      multiply_halves<C>(tile, panel, ahead, sums);
    }
  }
};

template <class F>
struct FloatTraits {
  static constexpr Packing kPacking = Packing::floats;
  static constexpr int kFetches = kFloatFetches;
  using Tile = FloatTile;
  using Panel = FloatPanel;
  using Ahead = avx512_vnni::Ahead<Panel, kFetches>;
  static void unpack(const WeightRows& weights, std::uint32_t row, std::uint32_t rows, std::uint32_t chunk, Tile& tile) {
    unpack_floats<F>(weights, row, rows, chunk, tile);
  }
  template <int C>
  static void multiply(const Tile& tile, const Panel& panel, const Ahead& ahead, TileSums sums) {
    multiply_floats<C>(tile, panel, ahead, sums);
  }
};
