// Mat-mul of bfloat16 weights and inputs: vdpbf16ps, two products a lane. Inputs are rounded to bfloat16 (8 bits of mantissa).

struct BfloatTile {
  alignas(64) std::uint16_t values[kChunk / 2][kTileRows][2];
};

// The first `present` of 32 bfloat16.
inline __m512i load_bfloats(const std::byte* from, std::uint32_t present) {
  const __mmask32 mask = present >= 32 ? ~__mmask32{0} : (__mmask32{1} << present) - 1;
  return _mm512_maskz_loadu_epi16(mask, from);
}

inline void dot_bfloats(Vec& sum, __m512i a, __m512i b) { asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b)); }

template <int C>
[[gnu::noinline]] void multiply_bfloats(const BfloatTile& tile, const BfloatPanel& panel, Ahead<BfloatPanel, kFloatFetches> ahead, TileSums sums) {
  Vec low[C], high[C];
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c) low[c] = sums.read(c, 0), high[c] = sums.read(c, 1);
#pragma GCC unroll 4
  for (std::uint32_t k = 0; k < kChunk / 2; ++k) {
    if (k % (kChunk / 2 / kFloatFetches) == 0) ahead.fetch();
    const __m512i w_low = _mm512_load_si512(tile.values[k]), w_high = _mm512_load_si512(tile.values[k][16]);
#pragma GCC unroll 6
    for (int c = 0; c < C; ++c) {
      const __m512i x = splat_word(panel.values[k][c]);
      dot_bfloats(low[c], w_low, x);
      dot_bfloats(high[c], w_high, x);
    }
  }
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c) sums.write(c, 0, low[c]), sums.write(c, 1, high[c]);
}

struct BfloatTraits {
  static constexpr Packing kPacking = Packing::bfloats;
  static constexpr int kFetches = kFloatFetches;
  using Tile = BfloatTile;
  using Panel = BfloatPanel;
  using Ahead = avx512_vnni::Ahead<Panel, kFetches>;
  static void unpack(const WeightRows& weights, std::uint32_t first_row, std::uint32_t rows, std::uint32_t chunk, Tile& tile) {
    const std::uint32_t first = chunk * kChunk, present = std::min(kChunk, weights.cols - first);
    for (std::uint32_t at = 0; at < kChunk; at += 32) {
      for (std::uint32_t half = 0; half < kTileRows; half += 16) {
        alignas(64) std::int32_t block[16][16];
        for (std::uint32_t r = 0; r < 16; ++r) {
          const std::byte* row = weights.data + (first_row + half + r) * weights.row_bytes + std::size_t{2} * (first + at);
          _mm512_store_si512(block[r], half + r < rows && at < present ? load_bfloats(row, present - at) : _mm512_setzero_si512());
        }
        transpose_words(block[0], 16, reinterpret_cast<std::int32_t*>(tile.values[at / 2][half]), kTileRows);
      }
    }
  }
  template <int C>
  static void multiply(const Tile& tile, const Panel& panel, const Ahead& ahead, TileSums sums) {
    multiply_bfloats<C>(tile, panel, ahead, sums);
  }
};
