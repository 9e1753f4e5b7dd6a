// Mat-mul for AVX-512 VNNI: 16 rows x 256 values unpacked once into a register-ordered tile, then used for every input.

// Weights of 16 rows and one chunk: vpdpbusd wants four values of a row in each 32-bit lane.
struct LevelTile {
  alignas(64) std::uint8_t levels[kChunk / 4][kTileRows][4];
  alignas(64) float scales[kGroupsPerChunk][kTileRows];
  alignas(64) float offsets[kGroupsPerChunk][kTileRows];
};
struct FloatTile {
  alignas(64) float values[kChunk][kTileRows];
};

// Rows of sixteen 32-bit values to columns, in place.
inline void transpose16(__m512i* r) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 4) {
    const __m512i a = _mm512_unpacklo_epi32(r[i], r[i + 1]), b = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    const __m512i c = _mm512_unpacklo_epi32(r[i + 2], r[i + 3]), d = _mm512_unpackhi_epi32(r[i + 2], r[i + 3]);
    t[i] = _mm512_unpacklo_epi64(a, c);
    t[i + 1] = _mm512_unpackhi_epi64(a, c);
    t[i + 2] = _mm512_unpacklo_epi64(b, d);
    t[i + 3] = _mm512_unpackhi_epi64(b, d);
  }
  for (int j = 0; j < 4; ++j) {  // t[4k + j]: lanes l hold column 4l + j of rows 4k .. 4k + 3
    const __m512i a = _mm512_shuffle_i32x4(t[j], t[4 + j], 0x88), b = _mm512_shuffle_i32x4(t[j], t[4 + j], 0xdd);
    const __m512i c = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0x88), d = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0xdd);
    r[j] = _mm512_shuffle_i32x4(a, c, 0x88);
    r[8 + j] = _mm512_shuffle_i32x4(a, c, 0xdd);
    r[4 + j] = _mm512_shuffle_i32x4(b, d, 0x88);
    r[12 + j] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
}

inline void transpose_floats(const float* rows, float* out) {
  __m512i r[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm512_load_si512(rows + 16 * i);
  transpose16(r);
  for (int i = 0; i < 16; ++i) _mm512_store_si512(out + 16 * i, r[i]);
}

// `rows` <= 16 are there; the others become zero.
template <class F>
void unpack_tile(const WeightRows& weights, std::uint32_t first_row, std::uint32_t rows, std::uint32_t chunk, LevelTile& tile) {
  alignas(64) std::uint8_t levels[kTileRows][kChunk];
  alignas(64) float scales[kTileRows][kGroupsPerChunk], offsets[kTileRows][kGroupsPerChunk];
  const Vec bias = splat(static_cast<float>(kBiasOf<F>));
  for (std::uint32_t r = 0; r < kTileRows; ++r) {
    Chunk q;
    if (r < rows) {
      Reader<F>::read(weights, first_row + r, chunk, q);
    } else {
      for (__m512i& part : q.levels) part = _mm512_setzero_si512();
      q.scales = q.offsets = zero();
    }
    for (int i = 0; i < 4; ++i) _mm512_store_si512(levels[r] + 64 * i, q.levels[i]);
    store(scales[r], q.scales);
    // Formats with both fold the bias into the offset; formats with a bias only start their integer sums at it.
    store(offsets[r], kOffsetOf<F> && kBiasOf<F> != 0 ? _mm512_fnmadd_ps(bias, q.scales, q.offsets) : q.offsets);
  }
  for (int i = 0; i < 4; ++i) {
    __m512i r[16];
    for (int row = 0; row < 16; ++row) r[row] = _mm512_load_si512(levels[row] + 64 * i);
    transpose16(r);
    for (int k = 0; k < 16; ++k) _mm512_store_si512(tile.levels[16 * i + k], r[k]);
  }
  transpose_floats(scales[0], tile.scales[0]);
  if (kOffsetOf<F>) transpose_floats(offsets[0], tile.offsets[0]);
}

inline void dot_broadcast(__m512i& sum, __m512i weights, const std::int32_t& input) {
  // An embedded broadcast; compilers emit a separate one.
  asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(weights), "m"(input));
}

// One tile times C inputs of one panel chunk, added to sums[input][row]. Group: values per weight scale (16 or 32).
template <int Group, bool Offset, int C>
inline void multiply_levels(const LevelTile& tile, const LevelPanel& panel, int bias, float* sums) {
  Vec chunk_sum[C];
  for (int c = 0; c < C; ++c) chunk_sum[c] = load(sums + 16 * c);
  for (int g = 0; g < static_cast<int>(kChunk) / Group; ++g) {
    const int first16 = g * Group / 16;
    __m512i dot[C];
    if constexpr (Offset) {
      for (int c = 0; c < C; ++c) dot[c] = _mm512_setzero_si512();
    } else {
      alignas(64) std::int32_t start[16];
      const __mmask16 present = (1u << kPanel) - 1;
      __m512i total = _mm512_maskz_loadu_epi32(present, panel.sums[first16]);
      if constexpr (Group == 32) total = _mm512_add_epi32(total, _mm512_maskz_loadu_epi32(present, panel.sums[first16 + 1]));
      _mm512_store_si512(start, _mm512_mullo_epi32(total, _mm512_set1_epi32(-bias)));
      for (int c = 0; c < C; ++c) dot[c] = _mm512_set1_epi32(start[c]);
    }
#pragma GCC unroll 8
    for (int k = 0; k < Group / 4; ++k) {
      const __m512i w = _mm512_load_si512(tile.levels[g * Group / 4 + k]);
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c) dot_broadcast(dot[c], w, panel.levels[g * Group / 4 + k][c]);
    }
    const Vec scale = load(tile.scales[first16]);
    for (int c = 0; c < C; ++c) {
      chunk_sum[c] = fma(mul(_mm512_cvtepi32_ps(dot[c]), scale), splat(panel.scales[first16 / 2][c]), chunk_sum[c]);
    }
    if constexpr (Offset) {
      const Vec offset = load(tile.offsets[first16]);
      for (int c = 0; c < C; ++c) {
        float sum = panel.offset_sums[first16][c];
        if constexpr (Group == 32) sum += panel.offset_sums[first16 + 1][c];
        chunk_sum[c] = fma(offset, splat(sum), chunk_sum[c]);
      }
    }
  }
  for (int c = 0; c < C; ++c) store(sums + 16 * c, chunk_sum[c]);
}

template <int C>
inline void multiply_floats(const FloatTile& tile, const FloatPanel& panel, float* sums) {
  Vec sum[C];
  for (int c = 0; c < C; ++c) sum[c] = load(sums + 16 * c);
  for (std::uint32_t k = 0; k < kChunk; ++k) {
    const Vec w = load(tile.values[k]);
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c) sum[c] = fma(w, splat(panel.values[k][c]), sum[c]);
  }
  for (int c = 0; c < C; ++c) store(sums + 16 * c, sum[c]);
}

// Chunks whose tiles are unpacked together: they and one panel's chunks fit the first cache levels.
constexpr std::uint32_t kChunksAtOnce = 4;

// The last panel may be narrower: it is computed as 4, 8 or 12 inputs.
template <class Traits>
inline void multiply_columns(const typename Traits::Tile* tiles, const typename Traits::Panel* panel, std::uint32_t chunks, std::uint32_t inputs, float* sums) {
  for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
    if (inputs > 8)
      Traits::template multiply<12>(tiles[chunk], panel[chunk], sums);
    else if (inputs > 4)
      Traits::template multiply<8>(tiles[chunk], panel[chunk], sums);
    else
      Traits::template multiply<4>(tiles[chunk], panel[chunk], sums);
  }
}

inline void write_tile(const float* sums, std::uint32_t inputs, std::uint32_t row, std::uint32_t rows, const Outputs& out) {
  const __mmask16 present = static_cast<__mmask16>((1u << rows) - 1);
  for (std::uint32_t n = 0; n < inputs; ++n) {
    float* to = out.data + n * out.stride + row;
    Vec value = load(sums + 16 * std::size_t{n});
    if (out.add) value = add(value, _mm512_maskz_loadu_ps(present, to));
    _mm512_mask_storeu_ps(to, present, value);
  }
}

// Sums lie in scratch as [tile][input][16 rows]; panels follow each other, so input n of all panels is at n.
template <class Traits>
void matmul(const WeightRows& weights, const PackedInputs& inputs, std::uint32_t begin, std::uint32_t end, float* scratch, const Outputs& out) {
  using Panel = typename Traits::Panel;
  const Panel* panels = reinterpret_cast<const Panel*>(inputs.panels);
  const std::uint32_t panel_count = panels_of(inputs.count);
  const std::size_t tile_floats = std::size_t{panel_count} * kPanel * kTileRows;
  alignas(64) typename Traits::Tile tiles[kChunksAtOnce];
  for (std::uint32_t block = begin; block < end; block += kMatmulRows) {
    const std::uint32_t block_rows = std::min(kMatmulRows, end - block), tile_count = (block_rows + kTileRows - 1) / kTileRows;
    std::memset(scratch, 0, tile_count * tile_floats * sizeof(float));
    for (std::uint32_t first = 0; first < inputs.chunks; first += kChunksAtOnce) {
      const std::uint32_t chunks = std::min(kChunksAtOnce, inputs.chunks - first);
      for (std::uint32_t t = 0; t < tile_count; ++t) {
        const std::uint32_t row = block + t * kTileRows;
        for (std::uint32_t c = 0; c < chunks; ++c) Traits::unpack(weights, row, std::min(kTileRows, end - row), first + c, tiles[c]);
        for (std::uint32_t p = 0; p < panel_count; ++p)
          multiply_columns<Traits>(tiles, panels + std::size_t{p} * inputs.chunks + first, chunks, std::min(kPanel, inputs.count - p * kPanel),
                                   scratch + t * tile_floats + std::size_t{p} * kPanel * kTileRows);
      }
    }
    for (std::uint32_t t = 0; t < tile_count; ++t) {
      const std::uint32_t row = block + t * kTileRows;
      write_tile(scratch + t * tile_floats, inputs.count, row, std::min(kTileRows, end - row), out);
    }
  }
}

template <class F>
inline constexpr int kGroupOf = 32;  // MLX groups are 32, 64 or 128
template <BlockFormat F>
inline constexpr int kGroupOf<F> = F::kGroup < 32 ? 16 : 32;

template <class F>
struct LevelTraits {
  using Tile = LevelTile;
  using Panel = LevelPanel;
  static void unpack(const WeightRows& weights, std::uint32_t row, std::uint32_t rows, std::uint32_t chunk, Tile& tile) {
    unpack_tile<F>(weights, row, rows, chunk, tile);
  }
  template <int C>
  static void multiply(const Tile& tile, const Panel& panel, float* sums) {
    multiply_levels<kGroupOf<F>, kOffsetOf<F>, C>(tile, panel, kBiasOf<F>, sums);
  }
};

template <class F>
struct FloatTraits {
  using Tile = FloatTile;
  using Panel = FloatPanel;
  static void unpack(const WeightRows& weights, std::uint32_t first_row, std::uint32_t rows, std::uint32_t chunk, Tile& tile) {
    constexpr std::type_identity<F> kFormat;
    const std::uint32_t first = chunk * kChunk;
    for (std::uint32_t at = 0; at < kChunk; at += 16) {
      alignas(64) float block[16][16];
      const std::uint32_t present = first + at < weights.cols ? std::min(16u, weights.cols - first - at) : 0;
      for (std::uint32_t r = 0; r < 16; ++r) {
        const std::byte* row = weights.data + (first_row + r) * weights.row_bytes;
        if (r >= rows || present == 0)
          store(block[r], zero());
        else
          store(block[r], present == 16 ? load_weights(kFormat, row, first + at) : load_weights_part(kFormat, row, first + at, present));
      }
      transpose_floats(block[0], tile.values[at]);
    }
  }
  template <int C>
  static void multiply(const Tile& tile, const Panel& panel, float* sums) {
    multiply_floats<C>(tile, panel, sums);
  }
};
