// Row after row: each is decoded by its format's reader, then 16 of them are turned. For every format.

// The minimums of one block as 16-bit numbers in group order.
inline void read_minimums(const Q2_K::Block& block, std::int16_t (&out)[kGroupsPerChunk]) {
  for (std::uint32_t g = 0; g < kGroupsPerChunk; ++g) out[g] = static_cast<std::int16_t>(block.scales[g] >> 4);
}
template <class Block>
inline void read_minimums(const Block& block, std::int16_t (&out)[kGroupsPerChunk]) {
  std::uint32_t word[3];
  std::memcpy(word, block.scales, sizeof word);
  const std::uint64_t high = ((word[2] >> 4) & 0x0f0f0f0fu) | ((word[1] >> 2) & 0x30303030u);
  const __m128i bytes8 = _mm_cvtsi64_si128(static_cast<long long>((word[1] & 0x3f3f3f3fu) | high << 32));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_cvtepu8_epi16(bytes8));
}
template <class F>
inline void unpack_minimums(const WeightRows& weights, std::uint32_t first_row, std::uint32_t rows, std::uint32_t chunk, LevelTile& tile) {
  for (std::uint32_t r = 0; r < kTileRows; ++r) {
    std::int16_t minimums[kGroupsPerChunk] = {};
    float scale = 0;
    if (r < rows) {
      const auto& block = *reinterpret_cast<const typename F::Block*>(weights.data + (first_row + r) * weights.row_bytes + std::size_t{chunk} * sizeof(typename F::Block));
      read_minimums(block, minimums);
      scale = -to_float(block.dmin);
    }
    for (std::uint32_t pair = 0; pair < kChunk / kGroupOf<F> / 2; ++pair) std::memcpy(tile.minimums[pair][r], minimums + 2 * pair, 4);
    tile.minimum_scales[r] = scale;
  }
}

// `rows` <= 32 are there; the others become zero.
template <class F>
void unpack_tile(const WeightRows& weights, std::uint32_t first_row, std::uint32_t rows, std::uint32_t chunk, LevelTile& tile) {
  if constexpr (TurnsBlocks<F>) {
    if ((chunk + 1) * kChunk <= weights.cols) return turn_tile<F>(weights, first_row, rows, chunk, tile);
  }
  alignas(64) std::int32_t levels[16][kChunk / 4];
  alignas(64) float scales[16][kGroupsPerChunk], offsets[16][kGroupsPerChunk];
  const __m512i shift = bytes(kShiftOf<F>);
  const Vec offset_per_scale = splat(static_cast<float>(kShiftOf<F> - kBiasOf<F>));
  for (std::uint32_t half = 0; half < kTileRows; half += 16) {
    for (std::uint32_t r = 0; r < 16; ++r) {
      Chunk q;
      if (half + r < rows) {
        Reader<F>::read(weights, first_row + half + r, chunk, q);
        for (__m512i& part : q.levels) part = _mm512_sub_epi8(part, shift);
      } else {
        for (__m512i& part : q.levels) part = _mm512_setzero_si512();
        q.scales = q.offsets = zero();
      }
      for (int i = 0; i < 4; ++i) _mm512_store_si512(levels[r] + 16 * i, q.levels[i]);
      store(scales[r], q.scales);
      store(offsets[r], kShiftOf<F> != kBiasOf<F> ? fma(offset_per_scale, q.scales, q.offsets) : q.offsets);
    }
    std::int32_t* out = reinterpret_cast<std::int32_t*>(tile.levels[0][half]);
    for (int i = 0; i < 4; ++i) transpose_words(levels[0] + 16 * i, kChunk / 4, out + std::size_t{16} * kTileRows * static_cast<std::size_t>(i), kTileRows);
    transpose_words(scales[0], kGroupsPerChunk, tile.scales[0] + half, kTileRows);
    if (kOffsetKindOf<F> == OffsetKind::floats) transpose_words(offsets[0], kGroupsPerChunk, tile.offsets[0] + half, kTileRows);
  }
  if constexpr (kOffsetKindOf<F> == OffsetKind::whole) unpack_minimums<F>(weights, first_row, rows, chunk, tile);
  constexpr int kSteps = kGroupOf<F> / 4;
  for (int g = 0; g < static_cast<int>(kChunk) / kGroupOf<F>; ++g) {
    for (int half = 0; half < 2; ++half) {
      __m512i sum = _mm512_setzero_si512();
      for (int k = 0; k < kSteps; ++k) dot_levels(sum, bytes(-128), _mm512_load_si512(tile.levels[g * kSteps + k][16 * half]));
      _mm512_store_si512(tile.starts[g] + 16 * half, _mm512_sub_epi32(_mm512_setzero_si512(), sum));
    }
  }
}
