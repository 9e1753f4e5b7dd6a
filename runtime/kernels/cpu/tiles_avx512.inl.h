// Tiles for AVX-512: 32 rows x 256 values unpacked once into the order that a mat-mul wants them in.

// Signed weights of one chunk; vpdpbusd wants four values of a row in each 32-bit lane.
struct LevelTile {
  alignas(64) std::int8_t levels[kChunk / 4][kTileRows][4];
  alignas(64) float scales[kGroupsPerChunk][kTileRows];
  alignas(64) float offsets[kGroupsPerChunk][kTileRows];
  alignas(64) std::int32_t starts[kGroupsPerChunk][kTileRows];  // -128 * (sum of a group's levels): inputs are levels + 128
  alignas(64) std::int16_t minimums[kGroupsPerChunk / 2][kTileRows][2];  // K-quants: of two neighbouring groups
  alignas(64) float minimum_scales[kTileRows];
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

// 16 rows of 16 words to 16 rows of a tile's column half.
template <class T>
inline void transpose_words(const T* rows, std::size_t row_words, T* out, std::size_t out_words) {
  static_assert(sizeof(T) == 4);
  __m512i r[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm512_load_si512(rows + row_words * static_cast<std::size_t>(i));
  transpose16(r);
  for (int i = 0; i < 16; ++i) _mm512_store_si512(out + out_words * static_cast<std::size_t>(i), r[i]);
}

// gcc moves the sums around a loop when these are intrinsics: every move costs as much as a multiply-add.
inline void dot_levels(__m512i& sum, __m512i inputs, __m512i weights) { asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(inputs), "v"(weights)); }
inline __m512i splat_word(const void* at) {
  __m512i word;
  asm("vpbroadcastd %1, %0" : "=v"(word) : "m"(*static_cast<const std::int32_t*>(at)));
  return word;
}

template <class F>
inline constexpr int kGroupOf = 32;  // values per weight scale; MLX groups are 32, 64 or 128
template <BlockFormat F>
inline constexpr int kGroupOf<F> = F::kGroup < 32 ? 16 : 32;
template <class F>
inline constexpr bool kHasSuperBlock = false;
template <BlockFormat F>
inline constexpr bool kHasSuperBlock<F> = F::kBlock == 256;
// What is taken from levels to make them signed: their bias, or 128 where they would not fit otherwise (MLX 8-bit, whose
// offsets then make up for it).
template <class F>
inline constexpr int kShiftOf = F::kMaxLevel - kBiasOf<F> > 127 ? 128 : kBiasOf<F>;

// How a format's offsets enter the sums: K-quants have whole numbers with one scale a block, which two groups at a time multiply
// with the sums of inputs; others have floats.
enum class OffsetKind : std::uint8_t { none, whole, floats };
template <class F>
inline constexpr OffsetKind kOffsetKindOf = kOffsetOf<F> || kShiftOf<F> != kBiasOf<F> ? OffsetKind::floats : OffsetKind::none;
template <>
inline constexpr OffsetKind kOffsetKindOf<Q4_K> = OffsetKind::whole;
template <>
inline constexpr OffsetKind kOffsetKindOf<Q5_K> = OffsetKind::whole;
template <>
inline constexpr OffsetKind kOffsetKindOf<Q2_K> = OffsetKind::whole;
