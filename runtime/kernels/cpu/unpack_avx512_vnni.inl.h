// Weights of a mat-mul for AVX-512 VNNI: 32 rows x 256 values from the file's blocks to a register-ordered tile.

// Signed weights of one chunk; vpdpbusd wants four values of a row in each 32-bit lane.
struct LevelTile {
  alignas(64) std::int8_t levels[kChunk / 4][kTileRows][4];
  alignas(64) float scales[kGroupsPerChunk][kTileRows];
  alignas(64) float offsets[kGroupsPerChunk][kTileRows];
  alignas(64) std::int32_t starts[kGroupsPerChunk][kTileRows];  // -128 * (sum of a group's levels): inputs are levels + 128
  alignas(64) std::int16_t minimums[kGroupsPerChunk / 2][kTileRows][2];  // K-quants: of two neighbouring groups
  alignas(64) float minimum_scales[kTileRows];
  std::uint32_t group;  // MLX below eight bits: 32, or 64 for groups of 64 and 128
};

// Formats with a scale for 16 values: four steps of multiply-adds are too few to scale by, so that 64 values are brought to one scale.
template <class F>
inline constexpr bool kIsMerged = false;
template <BlockFormat F>
inline constexpr bool kIsMerged<F> = F::kGroup < 32;
template <class F>
inline constexpr int kGroupOf = kIsMerged<F> ? 64 : 32;  // values per scale of a tile
// MLX below eight bits: inputs as K-quants have them, and most often groups of 64 or 128.
template <class F>
inline constexpr bool kMayHaveWideGroups = false;
template <MlxFormat F>
inline constexpr bool kMayHaveWideGroups<F> = F::kBits < 8;
template <class F>
inline constexpr bool kHasSuperBlock = false;
template <BlockFormat F>
inline constexpr bool kHasSuperBlock<F> = F::kBlock == 256;
// What is taken from levels to make them signed: their bias, or 128 where they would not fit otherwise (MLX 8-bit, whose
// offsets then make up for it).
template <class F>
inline constexpr int kShiftOf = F::kMaxLevel - kBiasOf<F> > 127 ? 128 : kBiasOf<F>;

template <class F>
inline constexpr OffsetKind kOffsetKindOf = kOffsetOf<F> || kShiftOf<F> != kBiasOf<F> ? OffsetKind::floats : OffsetKind::none;
template <>
inline constexpr OffsetKind kOffsetKindOf<Q4_K> = OffsetKind::whole;
template <>
inline constexpr OffsetKind kOffsetKindOf<Q5_K> = OffsetKind::whole;
template <>
inline constexpr OffsetKind kOffsetKindOf<Q2_K> = OffsetKind::whole;

// Those of Q2_K; Q4_K and Q5_K have theirs beside their scales.
inline void unpack_minimums(const WeightRows& weights, std::uint32_t first_row, std::uint32_t rows, std::uint32_t chunk, LevelTile& tile) {
  for (std::uint32_t r = 0; r < kTileRows; ++r) {
    std::int16_t minimums[kGroupsPerChunk] = {};
    float scale = 0;
    if (r < rows) {
      const auto& block = reinterpret_cast<const Q2_K::Block*>(weights.data + (first_row + r) * weights.row_bytes)[chunk];
      for (std::uint32_t g = 0; g < kGroupsPerChunk; ++g) minimums[g] = static_cast<std::int16_t>(block.scales[g] >> 4);
      scale = -to_float(block.dmin);
    }
    for (std::uint32_t pair = 0; pair < kGroupsPerChunk / 2; ++pair) std::memcpy(tile.minimums[pair][r], minimums + 2 * pair, 4);
    tile.minimum_scales[r] = scale;
  }
}

// What belongs to the levels of 16 rows, on its way into half of a tile.
template <class F>
struct Factors {
  alignas(64) float scales[16][kGroupsPerChunk], offsets[16][kGroupsPerChunk];

  void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, std::uint32_t place, Chunk& q) {
    Reader<F>::read(weights, row, chunk, q);
    for (__m512i& part : q.levels) part = _mm512_sub_epi8(part, bytes(kShiftOf<F>));
    store(scales[place], q.scales);
    store(offsets[place], kShiftOf<F> != kBiasOf<F> ? fma(splat(static_cast<float>(kShiftOf<F> - kBiasOf<F>)), q.scales, q.offsets) : q.offsets);
  }
  void clear(std::uint32_t place) {
    store(scales[place], zero());
    store(offsets[place], zero());
  }
  void write(std::uint32_t half, LevelTile& tile) const {
    transpose_words(scales[0], kGroupsPerChunk, tile.scales[0] + half, kTileRows);
    if (kOffsetKindOf<F> == OffsetKind::floats) transpose_words(offsets[0], kGroupsPerChunk, tile.offsets[0] + half, kTileRows);
  }
};

// How far the levels of merged groups are spread: as far as eight bits reach. The group with the largest scale stays exact; the others
// are off by half a spread level and what rounding their factor to 128ths makes of theirs. The negative of the largest scale may meet
// the end of eight bits: one spread level.
template <class F>
inline constexpr int kSpread = std::min(128 / std::max(kBiasOf<F>, 1), 127 / (F::kMaxLevel - kBiasOf<F>));

template <class F>
  requires kIsMerged<F>
struct Factors<F> {
  alignas(64) float scales[16][kGroupsPerChunk];

  void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, std::uint32_t place, Chunk& q) {
    Reader<F>::read(weights, row, chunk, q);
    // Of the largest magnitude, with its sign: eight bits reach further below zero than above, as levels do. A NaN is above all.
    __m512i tops = _mm512_castps_si512(magnitude(q.scales));
    tops = _mm512_max_epu32(tops, _mm512_shuffle_epi32(tops, _MM_PERM_CDAB));
    tops = _mm512_max_epu32(tops, _mm512_shuffle_epi32(tops, _MM_PERM_BADC));
    __m512i highest = _mm512_castps_si512(q.scales);  // as integers: floats above zero keep their order, and are above all below it
    highest = _mm512_max_epi32(highest, _mm512_shuffle_epi32(highest, _MM_PERM_CDAB));
    highest = _mm512_max_epi32(highest, _mm512_shuffle_epi32(highest, _MM_PERM_BADC));
    const Vec top = _mm512_mask_xor_ps(_mm512_castsi512_ps(tops), _mm512_cmpneq_epi32_mask(highest, tops), _mm512_castsi512_ps(tops), splat(-0.0f));
    store(scales[place], mul(top, splat(1.0f / kSpread<F>)));
    const __m512i factors = _mm512_cvtps_epi32(mul(_mm512_maskz_div_ps(_mm512_test_epi32_mask(tops, tops), q.scales, top), splat(128.0f * kSpread<F>)));
    for (int i = 0; i < 4; ++i) {
      const long long first = 0x0008000800080008ll * i, step = 0x0002000200020002ll;  // words of the lanes' groups
      const __m512i of_lanes = _mm512_permutexvar_epi16(_mm512_setr_epi64(first, first, first + step, first + step, first + 2 * step, first + 2 * step, first + 3 * step, first + 3 * step), factors);
      const __m512i level = _mm512_sub_epi8(q.levels[i], bytes(kBiasOf<F>)), none = _mm512_setzero_si512();
      const __m512i low = _mm512_mulhrs_epi16(_mm512_unpacklo_epi8(none, level), of_lanes);
      const __m512i high = _mm512_mulhrs_epi16(_mm512_unpackhi_epi8(none, level), of_lanes);
      q.levels[i] = _mm512_packs_epi16(low, high);
    }
  }
  void clear(std::uint32_t place) { store(scales[place], zero()); }
  void write(std::uint32_t half, LevelTile& tile) const { transpose_words(scales[0], kGroupsPerChunk, tile.scales[0] + half, kTileRows); }
};

// Lane 2g: the 6-bit scale of group g; lane 2g + 1: its minimum (layout: runtime/quant). The last four groups have their lower bits
// in one nibble and the upper two in the byte of another group.
struct PairFields {
  alignas(64) std::uint8_t bytes[64];  // of the block's: lower bits, upper bits, two zeros
  alignas(64) std::uint32_t shifts[16], masks[16];
};
constexpr PairFields make_pair_fields() {
  PairFields out{};
  constexpr std::uint8_t kZero = 0x80;
  for (std::uint8_t lane = 0; lane < 16; ++lane) {
    const std::uint8_t group = lane / 2 % 4, own = static_cast<std::uint8_t>(lane % 2 * 4 + group);
    const bool is_split = lane >= 8;
    const std::uint8_t bytes[4] = {is_split ? static_cast<std::uint8_t>(8 + group) : own, is_split ? own : kZero, kZero, kZero};
    for (int i = 0; i < 4; ++i) out.bytes[4 * lane + i] = bytes[i];
    out.shifts[lane] = is_split && lane % 2 == 1 ? 4 : 0;
    out.masks[lane] = is_split ? 0x0f : 0x3f;
  }
  return out;
}
constexpr PairFields kPairFields = make_pair_fields();
// Reads 16 bytes: four more than the scales have, which are the block's, too.
[[gnu::always_inline]] inline __m512i read_pairs(const std::uint8_t* scales) {
  const __m512i fields = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(load16(scales)), _mm512_load_si512(kPairFields.bytes));
  const __m512i low = _mm512_and_si512(_mm512_srlv_epi32(fields, _mm512_load_si512(kPairFields.shifts)), _mm512_load_si512(kPairFields.masks));
  return _mm512_or_si512(low, _mm512_and_si512(_mm512_srli_epi32(fields, 10), _mm512_set1_epi32(0x30)));
}

// As whole numbers until they lie as they should.
template <class F>
  requires kHasWholePairs<F>
struct Factors<F> {
  alignas(64) std::int32_t pairs[16][16];  // read_pairs()
  alignas(64) std::uint32_t d_and_dmin[16];

  void read(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, std::uint32_t place, Chunk& q) {
    const auto* block = reinterpret_cast<const typename F::Block*>(weights.data + row * weights.row_bytes) + chunk;
    decode_levels(block, q);
    _mm512_store_si512(pairs[place], read_pairs(block->scales));
    d_and_dmin[place] = word_at<std::uint32_t>(&block->d);
  }
  void clear(std::uint32_t place) {
    _mm512_store_si512(pairs[place], _mm512_setzero_si512());
    d_and_dmin[place] = 0;
  }
  void write(std::uint32_t half, LevelTile& tile) const {
    __m512i r[16];  // afterwards of all rows: 2g the scale of group g, 2g + 1 its minimum
    for (int i = 0; i < 16; ++i) r[i] = _mm512_load_si512(pairs[i]);
    transpose16(r);
    const __m512i both = _mm512_load_si512(d_and_dmin);
    const Vec d = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(both)), dmin = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(both, 16)));
    for (int g = 0; g < 8; ++g) store(tile.scales[2 * g] + half, mul(_mm512_cvtepi32_ps(r[2 * g]), d));
    for (int two = 0; two < 4; ++two) _mm512_store_si512(tile.minimums[two][half], _mm512_or_si512(r[4 * two + 1], _mm512_slli_epi32(r[4 * two + 3], 16)));
    store(tile.minimum_scales + half, negate(dmin));
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
      Chunk q;
      if (half + r < rows) {
        factors.read(weights, first_row + half + r, chunk, r, q);
      } else {
        factors.clear(r);
        for (__m512i& part : q.levels) part = _mm512_setzero_si512();
      }
      for (int i = 0; i < 4; ++i) _mm512_store_si512(levels[r] + 16 * i, q.levels[i]);
    }
    std::int32_t* out = reinterpret_cast<std::int32_t*>(tile.levels[0][half]);
    for (int i = 0; i < 4; ++i) transpose_words(levels[0] + 16 * i, kChunk / 4, out + std::size_t{16} * kTileRows * static_cast<std::size_t>(i), kTileRows);
    factors.write(half, tile);
  }
  if constexpr (std::is_same_v<F, Q2_K>) unpack_minimums(weights, first_row, rows, chunk, tile);
  if constexpr (kMayHaveWideGroups<F>) {
    tile.group = std::min(weights.group, 64u);
    if (tile.group == 64) return fill_starts<64>(tile);
  }
  fill_starts<kGroupOf<F>>(tile);
}
