// Weights of a mat-mul for AVX-512 VNNI: 32 rows x 256 values from the file's blocks to a register-ordered tile.

// Signed weights of one chunk; vpdpbusd wants four values of a row in each 32-bit lane.
struct LevelTile {
  alignas(64) std::int8_t levels[kChunk / 4][kTileRows][4];
  alignas(64) float scales[kChunk / 32][kTileRows];  // of spans; as many as there are
  alignas(64) float offsets[kChunk / 32][kTileRows];
  alignas(64) std::int32_t starts[kChunk / 32][kTileRows];  // -128 * (sum of 32 levels, or of 64 spread ones): inputs are levels + 128
};

// Levels that leave room in eight bits are spread over them, so that many groups share a scale, and offsets are part of the levels: scales
// of 16 or 32 values and sums of inputs cost the units that multiply a quarter of their time. Blocks of 32 values stay as they are: their
// inputs have a scale for 32, as in the reference programs, whose error is no larger than without spreading.
template <class F>
inline constexpr bool kIsSpread = false;
template <BlockFormat F>
inline constexpr bool kIsSpread<F> = F::kGroup < 32 || (F::kBlock == 256 && F::kHasOffset);
template <MlxFormat F>
inline constexpr bool kIsSpread<F> = F::kBits < 8;
// Spread levels to one of the file's, where the scale is largest. Without offsets exactly so many: that group stays as it is.
template <class F>
inline constexpr int kSpread = kOffsetOf<F> ? 254 / F::kMaxLevel : std::min(128 / std::max(kBiasOf<F>, 1), 127 / (F::kMaxLevel - kBiasOf<F>));
// Values per scale of a tile: fewer where spread levels are not much finer than the file's.
template <class F>
inline constexpr int kSpanOf = !kIsSpread<F> ? 32 : kSpread<F> >= 16 ? 256 : 64;
// What is taken from levels to make them signed: their bias, or 128 where they would not fit otherwise (MLX 8-bit, whose
// offsets then make up for it).
template <class F>
inline constexpr int kShiftOf = F::kMaxLevel - kBiasOf<F> > 127 ? 128 : kBiasOf<F>;
template <class F>
inline constexpr bool kHasOffsets = !kIsSpread<F> && (kOffsetOf<F> || kShiftOf<F> != kBiasOf<F>);

// What belongs to the levels of 16 rows, on its way into half of a tile.
template <class F>
struct Factors {
  alignas(64) float rows[16][16];  // 8 scales, 8 offsets

  void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, std::uint32_t place, Levels& out) {
    Spans q;
    Reader<F>::read(weights, row, chunk, q);
    for (int i = 0; i < 4; ++i) out.levels[i] = _mm512_sub_epi8(q.levels[i], bytes(kShiftOf<F>));
    if constexpr (kShiftOf<F> != kBiasOf<F>) q.offsets = _mm256_fmadd_ps(_mm256_set1_ps(static_cast<float>(kShiftOf<F> - kBiasOf<F>)), q.scales, q.offsets);
    store(rows[place], join8(q.scales, q.offsets));
  }
  void clear(std::uint32_t place) { store(rows[place], zero()); }
  void write(std::uint32_t half, LevelTile& tile) {
    __m512i columns[16];
    for (int r = 0; r < 16; ++r) columns[r] = _mm512_load_si512(rows[r]);
    transpose16(columns);
    for (int g = 0; g < 8; ++g) {
      _mm512_store_si512(tile.scales[g] + half, columns[g]);
      if (kHasOffsets<F>) _mm512_store_si512(tile.offsets[g] + half, columns[8 + g]);
    }
  }
  __m512i levels_of_step(std::uint32_t, __m512i levels) const { return levels; }
};

// A spread level is (level * factor + start) / 256, rounded to nearest. What is divided fits in 16 bits; the product may wrap.
template <class F>
  requires kIsSpread<F>
struct Factors<F> {
  static constexpr std::uint32_t kGroups = kScalesSpan32<F> ? 8 : 16, kGroupsTogether = kSpanOf<F> * kGroups / kChunk;
  static constexpr int kMostLevels = kOffsetOf<F> ? 127 : kSpread<F>;  // that the farthest end becomes, or a level at the largest scale
  static_assert(kOffsetOf<F> || F::kMaxLevel <= 2 * kBiasOf<F>);       // they reach as far below zero as above, or farther
  alignas(64) float rows[2][16][16];           // scales and offsets of 8 groups each, or of 16 groups one after the other
  alignas(64) float columns[2 * kGroups][16];  // the same of all rows, scales first
  __m512i factors[kGroups], starts[kGroups];   // of all rows, each twice in 16 bits

  void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, std::uint32_t place, Levels& out) {
    std::conditional_t<kGroups == 8, Spans, Chunk> q;
    Reader<F>::read(weights, row, chunk, q);
    out = q;
    if constexpr (kGroups == 8) {
      store(rows[0][place], join8(q.scales, q.offsets));
    } else {
      store(rows[0][place], q.scales);
      if constexpr (kOffsetOf<F>) store(rows[1][place], q.offsets);
    }
  }
  void clear(std::uint32_t place) {
    for (auto& part : rows) store(part[place], zero());
  }
  void write(std::uint32_t half, LevelTile& tile) {
    transpose_words(rows[0][0], 16, columns[0], 16);
    if constexpr (kOffsetOf<F> && kGroups == 16) transpose_words(rows[1][0], 16, columns[16], 16);
    for (std::uint32_t first = 0; first < kGroups; first += kGroupsTogether) {
      const Vec top = kOffsetOf<F> ? farthest_end(first) : largest_scale(first);
      const Vec inverse = _mm512_maskz_div_ps(_mm512_test_epi32_mask(_mm512_castps_si512(top), _mm512_castps_si512(top)), splat(256.0f * kMostLevels), top);
      store(tile.scales[first / kGroupsTogether] + half, mul(top, splat(1.0f / kMostLevels)));
      for (std::uint32_t g = first; g < first + kGroupsTogether; ++g) {
        __m512i factor = _mm512_cvtps_epi32(mul(load(columns[g]), inverse)), start;
        if constexpr (kOffsetOf<F>) {
          start = _mm512_cvtps_epi32(mul(load(columns[kGroups + g]), inverse));
        } else {
          // Eight bits reach further below zero than above: the negative of the largest scale is a little smaller than it should.
          factor = _mm512_max_epi32(factor, _mm512_set1_epi32(-(32767 - 128) / kBiasOf<F>));
          start = _mm512_mullo_epi32(factor, _mm512_set1_epi32(-kBiasOf<F>));
        }
        factors[g] = twice(factor);
        starts[g] = twice(_mm512_add_epi32(start, _mm512_set1_epi32(128)));
      }
    }
  }
  // Four levels of each row.
  __m512i levels_of_step(std::uint32_t step, __m512i levels) const {
    const __m512i factor = factors[step * kGroups / 64], start = starts[step * kGroups / 64];
    const __m512i even = _mm512_add_epi16(_mm512_mullo_epi16(_mm512_and_si512(levels, _mm512_set1_epi16(0xff)), factor), start);
    const __m512i odd = _mm512_add_epi16(_mm512_mullo_epi16(_mm512_srli_epi16(levels, 8), factor), start);
    return _mm512_mask_mov_epi8(_mm512_srli_epi16(even, 8), 0xaaaaaaaaaaaaaaaa, odd);
  }

 private:
  static __m512i twice(__m512i v) { return _mm512_mask_mov_epi16(v, 0xaaaaaaaa, _mm512_slli_epi32(v, 16)); }
  // Floats above zero keep their order as integers. A NaN is larger than all.
  static __m512i larger(__m512i a, Vec b) { return _mm512_max_epi32(a, _mm512_castps_si512(b)); }
  Vec farthest_end(std::uint32_t first) const {
    __m512i top = _mm512_setzero_si512();
    for (std::uint32_t g = first; g < first + kGroupsTogether; ++g) {
      const Vec offset = load(columns[kGroups + g]);
      top = larger(larger(top, magnitude(offset)), magnitude(fma(splat(static_cast<float>(F::kMaxLevel)), load(columns[g]), offset)));
    }
    return _mm512_castsi512_ps(top);
  }
  // With its sign, as levels reach further below zero than above, too.
  Vec largest_scale(std::uint32_t first) const {
    __m512i top = _mm512_setzero_si512(), highest = top;
    for (std::uint32_t g = first; g < first + kGroupsTogether; ++g) {
      top = larger(top, magnitude(load(columns[g])));
      highest = larger(highest, load(columns[g]));
    }
    return _mm512_mask_xor_ps(_mm512_castsi512_ps(top), _mm512_cmpneq_epi32_mask(highest, top), _mm512_castsi512_ps(top), splat(-0.0f));
  }
};

template <int Group>
inline void fill_starts(LevelTile& tile) {
  constexpr int kSteps = Group / 4;
  for (int g = 0; g < static_cast<int>(kChunk) / Group; ++g) {
    for (int half = 0; half < 2; ++half) {
      __m512i sum = _mm512_setzero_si512();
      for (int k = 0; k < kSteps; ++k) add_fours(sum, bytes(-128), _mm512_load_si512(tile.levels[g * kSteps + k][16 * half]));
      _mm512_store_si512(tile.starts[g] + 16 * half, _mm512_sub_epi32(_mm512_setzero_si512(), sum));
    }
  }
}

// `rows` <= 32 are there; the others become zero.
template <class F>
void unpack_tile(const WeightRows& weights, std::uint32_t first_row, std::uint32_t rows, std::uint32_t chunk, LevelTile& tile) {
  alignas(64) std::int32_t levels[16][kChunk / 4];
  Factors<F> factors;
  for (std::uint32_t half = 0; half < kTileRows; half += 16) {
    for (std::uint32_t r = 0; r < 16; ++r) {
      Levels q;
      if (half + r < rows) {
        factors.read(weights, first_row + half + r, chunk, r, q);
      } else {
        factors.clear(r);
        for (__m512i& part : q.levels) part = _mm512_setzero_si512();
      }
      for (int i = 0; i < 4; ++i) _mm512_store_si512(levels[r] + 16 * i, q.levels[i]);
    }
    factors.write(half, tile);
    for (std::uint32_t first = 0; first < kChunk / 4; first += 16) {
      __m512i steps[16];
      for (int r = 0; r < 16; ++r) steps[r] = _mm512_load_si512(levels[r] + first);
      transpose16(steps);
      for (std::uint32_t i = 0; i < 16; ++i) _mm512_store_si512(tile.levels[first + i][half], factors.levels_of_step(first + i, steps[i]));
    }
  }
  fill_starts<kIsSpread<F> ? 64 : 32>(tile);
}
