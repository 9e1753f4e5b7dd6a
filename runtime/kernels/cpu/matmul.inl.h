// Mat-mul of every vector instruction set but AVX-512 VNNI: 32 rows x 256 values are unpacked once into a register-ordered tile, then used
// for every input. Without VNNI products of bytes are summed in 16 bits as long as they fit, and levels of eight bits are multiplied in
// 16 bits from the start. An instruction set brings the registers (words_*.inl.h).

template <class F>
inline constexpr int kGroupOf = 32;  // values per weight scale; MLX groups are 32, 64 or 128
template <BlockFormat F>
inline constexpr int kGroupOf<F> = F::kGroup < 32 ? 16 : 32;
// Levels that have an offset stay unsigned and meet signed inputs; others become signed and meet inputs that are levels + 128.
template <class F>
inline constexpr int kShiftOf = kOffsetOf<F> ? 0 : kBiasOf<F>;
template <class F>
inline constexpr bool kIsUnsigned = kShiftOf<F> == 0;
// The largest sum of two products of bytes, and of how many steps of a group such sums fit in 16 bits, up to eight: a power of two.
template <class F>
inline constexpr int kTopPair = 2 * (kIsUnsigned<F> ? 127 * F::kMaxLevel : 255 * std::max(kShiftOf<F>, F::kMaxLevel - kShiftOf<F>));
template <class F>
inline constexpr std::uint32_t kRunOf = std::min<std::uint32_t>(std::bit_floor(std::clamp(32767u / kTopPair<F>, 1u, 8u)), kGroupOf<F> / 4);
template <class F>
inline constexpr bool kIsWide = !kHasVnni && kTopPair<F> > 32767;
// Whole scales multiply the sums of 16 bits, and all of 64 values is added up as whole numbers.
template <class F>
inline constexpr bool kAddsWhole = !kHasVnni && kHasWholeScales<F>;
// How a format's offsets enter the sums of a mat-mul: K-quants have whole numbers with one scale a block, which two groups at a time
// multiply with the sums of inputs; others have floats.
enum class OffsetKind : std::uint8_t { none, whole, floats };
template <class F>
inline constexpr OffsetKind kOffsetKindOf = !kOffsetOf<F> ? OffsetKind::none : kHasWholeScales<F> ? OffsetKind::whole : OffsetKind::floats;
// Values per input scale. Where the reference programs use an input scale for 256 values (K-quants, IQ), 64 keep the error well below theirs.
template <class F>
inline constexpr int kInputGroupOf = F::kMaxLevel > 127 ? 32 : 64;
template <BlockFormat F>
inline constexpr int kInputGroupOf<F> = !kIsWide<F> && (F::kBlock == 256 || F::kGroup == 16) ? 64 : 32;

// Weights of one chunk, the values of one step of kLanes rows in a register: 4 bytes a row, or 2 words.
struct ByteTile {
  alignas(64) std::int8_t levels[kChunk / 4][kTileRows][4];
  alignas(64) float scales[kGroupsPerChunk][kTileRows];
  alignas(64) float offsets[kGroupsPerChunk][kTileRows];
  alignas(64) std::int16_t whole_scales[kGroupsPerChunk][kTileRows][2];  // K-quants: each twice, in `units`
  alignas(64) float units[kTileRows];
  alignas(64) std::int16_t minimums[kGroupsPerChunk][kTileRows][2];      // of two neighbouring groups, in `minimum_units`: no more than half are used
  alignas(64) float minimum_units[kTileRows];
  // Signed levels: -128 * (sum of a group's levels); kAddsWhole: of 64 levels times their scales.
  alignas(64) std::int32_t starts[kGroupsPerChunk][kTileRows];
};
struct WordTile {
  alignas(64) std::int16_t levels[kChunk / 2][kTileRows][2];
  alignas(64) float scales[kGroupsPerChunk][kTileRows];
  alignas(64) float offsets[kGroupsPerChunk][kTileRows];
};
template <class F>
using TileOf = std::conditional_t<kIsWide<F>, WordTile, ByteTile>;

// What belongs to the levels of kLanes rows, on its way into a part of a tile.
template <class F>
struct Factors {
  alignas(64) float scales[kLanes][kGroupsPerChunk], offsets[kLanes][kGroupsPerChunk];

  void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, std::uint32_t place, Chunk& q) {
    Reader<F>::read(weights, row, chunk, q);
    store(scales[place], q.scales);
    store(offsets[place], q.offsets);
  }
  void clear(std::uint32_t place) {
    store(scales[place], zero());
    store(offsets[place], zero());
  }
  void write(std::uint32_t part, TileOf<F>& tile) const {
    for (std::uint32_t g = 0; g < kGroupsPerChunk; g += kLanes) {
      transpose_words(&scales[0][g], kGroupsPerChunk, tile.scales[g] + part, kTileRows);
      if (kOffsetOf<F>) transpose_words(&offsets[0][g], kGroupsPerChunk, tile.offsets[g] + part, kTileRows);
    }
  }
};

template <class F>
  requires kHasWholeScales<F>
struct Factors<F> {
  static constexpr std::uint32_t kGroups = kChunk / F::kGroup;
  alignas(64) std::int16_t scales[kLanes][kGroupsPerChunk][2], minimums[kLanes][kGroupsPerChunk][2] = {};  // pairs as the tile has them
  alignas(64) float units[kLanes], minimum_units[kLanes];

  void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, std::uint32_t place, Chunk& q) {
    const auto* block = reinterpret_cast<const typename F::Block*>(weights.data + row * weights.row_bytes) + chunk;
    decode_levels(block, q);
    const WholeFactors<F> factors(block);
    units[place] = _mm_cvtss_f32(factors.d);
    const __m256i low = _mm256_unpacklo_epi16(factors.scales, factors.scales), high = _mm256_unpackhi_epi16(factors.scales, factors.scales);
    __m256i* to = reinterpret_cast<__m256i*>(scales[place]);
    _mm256_store_si256(to, _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_store_si256(to + 1, _mm256_permute2x128_si256(low, high, 0x31));
    if constexpr (!kOffsetOf<F>) return;
    minimum_units[place] = -_mm_cvtss_f32(_mm_movehdup_ps(factors.d));
    _mm256_store_si256(reinterpret_cast<__m256i*>(minimums[place]), factors.whole_minimums);
  }
  void clear(std::uint32_t place) {
    std::memset(scales[place], 0, sizeof scales[place]);
    std::memset(minimums[place], 0, sizeof minimums[place]);
    units[place] = minimum_units[place] = 0;
  }
  void write(std::uint32_t part, ByteTile& tile) const {
    for (std::uint32_t g = 0; g < kGroups; g += kLanes) transpose_words(scales[0][g], kGroupsPerChunk, tile.whole_scales[g][part], kTileRows);
    std::memcpy(tile.units + part, units, sizeof units);
    if constexpr (!kAddsWhole<F>)
      for (std::uint32_t g = 0; g < kGroups; ++g) {
        const Words whole = half_pairs(load_words(tile.whole_scales[g][part]), splat_word(kLowHalf));
        store_lanes(tile.scales[g * F::kGroup / 16] + part, mul(to_floats(whole), load_lanes(units)));
      }
    if constexpr (!kOffsetOf<F>) return;
    for (std::uint32_t pair = 0; pair < kGroups / 2; pair += kLanes) transpose_words(minimums[0][pair], kGroupsPerChunk, tile.minimums[pair][part], kTileRows);
    std::memcpy(tile.minimum_units + part, minimum_units, sizeof minimum_units);
  }
  static constexpr std::int16_t kLowHalf[2] = {1, 0};
};

// Levels of one row to signed or unsigned bytes or words in order.
template <class F, class Level>
inline void store_levels(const Chunk& q, Level* to) {
  constexpr std::size_t kBytes = sizeof(Words);
  std::byte* out = reinterpret_cast<std::byte*>(to);
  if constexpr (sizeof(Level) == 1) {
    for (std::size_t i = 0; i < kChunk / kBytes; ++i) store_words(out + kBytes * i, add_bytes(q.levels[i], bytes(-kShiftOf<F>)));
  } else {
    alignas(64) std::uint8_t levels[kChunk];
    for (std::size_t i = 0; i < kChunk / kBytes; ++i) store_words(levels + kBytes * i, q.levels[i]);
    for (std::size_t i = 0; i < 2 * kChunk / kBytes; ++i) store_words(out + kBytes * i, add_halves(bytes_to_halves(levels + kBytes / 2 * i), splat_half(-kShiftOf<F>)));
  }
}

template <class F>
inline void fill_starts(ByteTile& tile) {
  constexpr std::uint32_t kSteps = kGroupOf<F> / 4;
  for (std::uint32_t part = 0; part < kTileRows; part += kLanes) {
    Words sum = no_words();
    for (std::uint32_t g = 0; g < kChunk / kGroupOf<F>; ++g) {
      const std::uint32_t start = kAddsWhole<F> ? g * kGroupOf<F> / 64 : g;
      const bool is_new = !kAddsWhole<F> || g % (64 / kGroupOf<F>) == 0;
      if (is_new) sum = no_words();
      const Words factor = kAddsWhole<F> ? load_words(tile.whole_scales[g][part]) : splat_half(1);
      // -128 of a signed byte is -(128 of an unsigned one).
      for (std::uint32_t k = 0; k < kSteps; ++k) sum = sub_words(sum, half_pairs(byte_pairs(bytes(-128), load_words(tile.levels[g * kSteps + k][part])), factor));
      store_words(tile.starts[start] + part, sum);
    }
  }
}

// `rows` <= 32 are there; the others become zero.
template <class F>
void unpack_tile(const WeightRows& weights, std::uint32_t first_row, std::uint32_t rows, std::uint32_t chunk, TileOf<F>& tile) {
  using Level = std::conditional_t<kIsWide<F>, std::int16_t, std::int8_t>;
  constexpr std::uint32_t kSteps = kChunk * sizeof(Level) / 4;
  alignas(64) Level levels[kLanes][kChunk];
  Factors<F> factors;
  for (std::uint32_t part = 0; part < kTileRows; part += kLanes) {
    for (std::uint32_t r = 0; r < kLanes; ++r) {
      if (part + r < rows) {
        Chunk q;
        factors.read(weights, first_row + part + r, chunk, r, q);
        store_levels<F>(q, levels[r]);
      } else {
        std::memset(levels[r], 0, sizeof levels[r]);
        factors.clear(r);
      }
    }
    for (std::uint32_t step = 0; step < kSteps; step += kLanes) transpose_words(levels[0] + step * 4 / sizeof(Level), kSteps, tile.levels[step][part], kTileRows);
    factors.write(part, tile);
  }
  if constexpr (!kIsWide<F> && !kIsUnsigned<F>) fill_starts<F>(tile);
}

// The panel that comes next, fetched in `Times` steps while the present one is multiplied: panels are read with broadcasts, whose misses the
// hardware foresees too late where they lie in the third cache level.
template <class Panel, std::uint32_t Times>
[[gnu::always_inline]] inline void fetch_next(const Panel& panel, std::uint32_t step) {
  constexpr std::size_t kLines = (sizeof(Panel) / kLine + Times - 1) / Times;
  const std::byte* at = reinterpret_cast<const std::byte*>(&panel + 1) + step * kLines * kLine;
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kLines; ++i) __builtin_prefetch(at + i * kLine, 0, 3);
}
constexpr std::uint32_t kPasses = kTileRows / (2 * kLanes);  // over the rows of a tile

// Sums of two registers of rows times C inputs.
template <int C>
[[gnu::always_inline]] inline void start(Words (&sums)[2][C], Words first, Words second) {
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c) sums[0][c] = first, sums[1][c] = second;
}

// The products of C inputs from `c0` on with two registers of rows in kRunOf<F> steps from `first` on, in 16 bits.
template <class F, int C>
[[gnu::always_inline]] inline void sum_run(const ByteTile& tile, const LevelPanel& panel, std::uint32_t first, std::uint32_t row, std::uint32_t c0, Words (&sums)[2][C]) {
  constexpr std::uint32_t kRun = kRunOf<F>;
  static_assert(kTopPair<F> * kRun <= 32767);
#pragma GCC unroll 8
  for (std::uint32_t k = 0; k < kRun; ++k) {
    const Words w[2] = {load_words(tile.levels[first + k][row]), load_words(tile.levels[first + k][row + kLanes])};
#pragma GCC unroll 6
    for (int c = 0; c < C; ++c) {
      const Words x = splat_word(panel.levels[first + k][c0 + c]);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const Words products = kIsUnsigned<F> ? byte_pairs(w[v], x) : byte_pairs(x, w[v]);
        sums[v][c] = k == 0 ? products : add_halves(sums[v][c], products);
        keep(sums[v][c]);
      }
    }
  }
}

// totals += the dots of group g, times `factors` where there is no VNNI.
template <class F, int C>
[[gnu::always_inline]] inline void add_group(const ByteTile& tile, const LevelPanel& panel, std::uint32_t g, std::uint32_t row, std::uint32_t c0, const Words (&factors)[2], Words (&totals)[2][C]) {
  constexpr std::uint32_t kSteps = kGroupOf<F> / 4, kRun = kRunOf<F>;
  if constexpr (kHasVnni) {
#pragma GCC unroll 8
    for (std::uint32_t k = 0; k < kSteps; ++k) {
      const Words w[2] = {load_words(tile.levels[g * kSteps + k][row]), load_words(tile.levels[g * kSteps + k][row + kLanes])};
#pragma GCC unroll 6
      for (int c = 0; c < C; ++c) {
        const Words x = splat_word(panel.levels[g * kSteps + k][c0 + c]);
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) add_fours(totals[v][c], kIsUnsigned<F> ? w[v] : x, kIsUnsigned<F> ? x : w[v]);
      }
    }
  } else {
#pragma GCC unroll 8
    for (std::uint32_t run = 0; run < kSteps; run += kRun) {
      Words sums[2][C];
      sum_run<F, C>(tile, panel, g * kSteps + run, row, c0, sums);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v)
#pragma GCC unroll 6
        for (int c = 0; c < C; ++c) add_half_pairs(totals[v][c], sums[v][c], factors[v]);
    }
  }
}

// What whole minimums take off: sums += minimum_units[row] * pair_scales[input] * (minimums . pairs).
template <int Group, int C>
[[gnu::always_inline]] inline void add_minimums(const ByteTile& tile, const LevelPanel& panel, std::uint32_t row, std::uint32_t c0, float* sums) {
  constexpr std::uint32_t kPairs = kChunk / Group / 2;
  Words totals[2][C];
  start<C>(totals, no_words(), no_words());
#pragma GCC unroll 8
  for (std::uint32_t pair = 0; pair < kPairs; ++pair) {
    const Words m[2] = {load_words(tile.minimums[pair][row]), load_words(tile.minimums[pair][row + kLanes])};
#pragma GCC unroll 6
    for (int c = 0; c < C; ++c) {
      const Words x = splat_word(Group == 32 ? panel.pairs32[pair][c0 + c] : panel.pairs16[pair][c0 + c]);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) add_half_pairs(totals[v][c], m[v], x);
    }
  }
#pragma GCC unroll 2
  for (std::uint32_t v = 0; v < 2; ++v) {
    const Floats unit = load_lanes(tile.minimum_units + row + kLanes * v);
#pragma GCC unroll 6
    for (int c = 0; c < C; ++c) {
      float* to = sums + kTileRows * (c0 + c) + row + kLanes * v;
      store_lanes(to, fma(mul(to_floats(totals[v][c]), unit), splat_lanes(panel.pair_scales[c0 + c]), load_lanes(to)));
    }
  }
}

// One tile times C inputs of one panel, added to sums[input][row].
template <class F, int C>
[[gnu::noinline]] void multiply_bytes(const ByteTile& tile, const LevelPanel& panel, std::uint32_t c0, float* sums) {
  constexpr std::uint32_t kGroup = kGroupOf<F>, kPerInputScale = kInputGroupOf<F>, kInner = kPerInputScale / kGroup, kOuter = kChunk / kPerInputScale;
  for (std::uint32_t row = 0; row < kTileRows; row += 2 * kLanes) {
    for (std::uint32_t outer = 0; outer < kOuter; ++outer) {
      fetch_next<LevelPanel, kOuter * kPasses * kPanel / C>(panel, (c0 / C * kPasses + row / (2 * kLanes)) * kOuter + outer);
      Words totals[2][C];
      Floats values[2][C];
#pragma GCC unroll 4
      for (std::uint32_t inner = 0; inner < kInner; ++inner) {
        const std::uint32_t g = outer * kInner + inner;
        if (!kAddsWhole<F> || inner == 0) {
          const std::int32_t* starts = tile.starts[kAddsWhole<F> ? outer : g] + row;
          start<C>(totals, kIsUnsigned<F> ? no_words() : load_words(starts), kIsUnsigned<F> ? no_words() : load_words(starts + kLanes));
        }
        const Words factors[2] = {kAddsWhole<F> ? load_words(tile.whole_scales[g][row]) : splat_half(1), kAddsWhole<F> ? load_words(tile.whole_scales[g][row + kLanes]) : splat_half(1)};
        add_group<F, C>(tile, panel, g, row, c0, factors, totals);
        if (kAddsWhole<F> && inner + 1 < kInner) continue;
#pragma GCC unroll 2
        for (std::uint32_t v = 0; v < 2; ++v) {
          const Floats scale = load_lanes((kAddsWhole<F> ? tile.units : tile.scales[g * kGroup / 16]) + row + kLanes * v);
#pragma GCC unroll 6
          for (int c = 0; c < C; ++c) values[v][c] = kAddsWhole<F> || inner == 0 ? mul(to_floats(totals[v][c]), scale) : fma(to_floats(totals[v][c]), scale, values[v][c]);
        }
      }
#pragma GCC unroll 2
      for (std::uint32_t v = 0; v < 2; ++v)
#pragma GCC unroll 6
        for (int c = 0; c < C; ++c) {
          float* to = sums + kTileRows * (c0 + c) + row + kLanes * v;
          Floats sum = fma(values[v][c], splat_lanes(panel.scales[outer * kPerInputScale / 32][c0 + c]), load_lanes(to));
          if constexpr (kOffsetKindOf<F> == OffsetKind::floats) {
            static_assert(kGroup == 32);
#pragma GCC unroll 2
            for (std::uint32_t g = outer * kInner; g < (outer + 1) * kInner; ++g) sum = fma(load_lanes(tile.offsets[2 * g] + row + kLanes * v), splat_lanes(panel.sums[g][c0 + c]), sum);
          }
          store_lanes(to, sum);
        }
    }
    if constexpr (kOffsetKindOf<F> == OffsetKind::whole) add_minimums<kGroup, C>(tile, panel, row, c0, sums);
  }
}

template <class F, int C>
[[gnu::noinline]] void multiply_words(const WordTile& tile, const WordPanel& panel, float* sums) {
  static_assert(kGroupOf<F> == 32 && kInputGroupOf<F> == 32);
  constexpr std::uint32_t kSteps = 16;
  for (std::uint32_t row = 0; row < kTileRows; row += 2 * kLanes) {
    for (std::uint32_t g = 0; g < kChunk / 32; ++g) {
      fetch_next<WordPanel, kPasses * kChunk / 32>(panel, row / (2 * kLanes) * (kChunk / 32) + g);
      Words totals[2][C];
      start<C>(totals, no_words(), no_words());
#pragma GCC unroll 16
      for (std::uint32_t k = 0; k < kSteps; ++k) {
        const Words w[2] = {load_words(tile.levels[g * kSteps + k][row]), load_words(tile.levels[g * kSteps + k][row + kLanes])};
#pragma GCC unroll 6
        for (int c = 0; c < C; ++c) {
          const Words x = splat_word(panel.levels[g * kSteps + k][c]);
#pragma GCC unroll 2
          for (int v = 0; v < 2; ++v) add_half_pairs(totals[v][c], w[v], x);
        }
      }
#pragma GCC unroll 2
      for (std::uint32_t v = 0; v < 2; ++v) {
        const Floats scale = load_lanes(tile.scales[2 * g] + row + kLanes * v);
#pragma GCC unroll 6
        for (int c = 0; c < C; ++c) {
          float* to = sums + kTileRows * c + row + kLanes * v;
          Floats sum = fma(mul(to_floats(totals[v][c]), scale), splat_lanes(panel.scales[g][c]), load_lanes(to));
          if constexpr (kOffsetOf<F>) sum = fma(load_lanes(tile.offsets[2 * g] + row + kLanes * v), splat_lanes(panel.sums[g][c]), sum);
          store_lanes(to, sum);
        }
      }
    }
  }
}

[[gnu::noinline]] void multiply_floats(const FloatTile& tile, const FloatPanel& panel, float* sums) {
  constexpr int C = kPanel;
  for (std::uint32_t row = 0; row < kTileRows; row += 2 * kLanes) {
    Floats totals[2][C];
#pragma GCC unroll 6
    for (int c = 0; c < C; ++c) totals[0][c] = load_lanes(sums + kTileRows * c + row), totals[1][c] = load_lanes(sums + kTileRows * c + row + kLanes);
    for (std::uint32_t block = 0; block < kChunk; block += 8) {
      fetch_next<FloatPanel, kPasses * kChunk / 8>(panel, (row / (2 * kLanes) * kChunk + block) / 8);
#pragma GCC unroll 8
      for (std::uint32_t k = block; k < block + 8; ++k) {
        const Floats w[2] = {load_lanes(tile.values[k] + row), load_lanes(tile.values[k] + row + kLanes)};
#pragma GCC unroll 6
        for (int c = 0; c < C; ++c) {
          const Floats x = splat_lanes(panel.values[k][c]);
          totals[0][c] = fma(w[0], x, totals[0][c]), totals[1][c] = fma(w[1], x, totals[1][c]);
        }
      }
    }
#pragma GCC unroll 6
    for (int c = 0; c < C; ++c) store_lanes(sums + kTileRows * c + row, totals[0][c]), store_lanes(sums + kTileRows * c + row + kLanes, totals[1][c]);
  }
}

template <class F>
struct LevelTraits {
  static constexpr Packing kPacking = kIsWide<F>             ? Packing::words32
                                      : kInputGroupOf<F> == 64 ? (kIsUnsigned<F> ? Packing::signed64 : Packing::levels64)
                                                               : (kIsUnsigned<F> ? Packing::signed32 : Packing::levels32);
  using Tile = TileOf<F>;
  using Panel = std::conditional_t<kIsWide<F>, WordPanel, LevelPanel>;
  static void unpack(const WeightRows& weights, std::uint32_t row, std::uint32_t rows, std::uint32_t chunk, Tile& tile) {
    unpack_tile<F>(weights, row, rows, chunk, tile);
  }
  static void multiply(const Tile& tile, const Panel& panel, std::uint32_t inputs, float* sums) {
    if constexpr (kIsWide<F>) {
      multiply_words<F, kPanel>(tile, panel, sums);
    } else {
      // As many inputs as the registers hold sums of: in 16 bits, in 32 and in floats.
      constexpr int kSums = 1 + (!kHasVnni && kRunOf<F> < kGroupOf<F> / 4) + (kAddsWhole<F> || kInputGroupOf<F> > kGroupOf<F>), kHalf = kPanel / 2;
      if constexpr (2 * kPanel * kSums + 4 <= kRegisters) return multiply_bytes<F, kPanel>(tile, panel, 0, sums);
      multiply_bytes<F, kHalf>(tile, panel, 0, sums);
      if (inputs > kHalf) multiply_bytes<F, kHalf>(tile, panel, kHalf, sums);
    }
  }
};

template <class F>
struct FloatTraits {
  static constexpr Packing kPacking = Packing::floats;
  using Tile = FloatTile;
  using Panel = FloatPanel;
  static void unpack(const WeightRows& weights, std::uint32_t row, std::uint32_t rows, std::uint32_t chunk, Tile& tile) {
    unpack_floats<F>(weights, row, rows, chunk, tile);
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
    clear(scratch, std::size_t{panels} * kPanel * kTileRows);
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
