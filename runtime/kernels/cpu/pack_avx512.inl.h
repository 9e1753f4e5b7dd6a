// Packing of whole panels for AVX-512: six inputs of 256 values, bit for bit what pack_column() makes of each.

// Four registers to one: lane L of 128 bits holds the results of lane L of a, b, c and d.
inline __m512i lane_sums(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}
inline __m512i lane_tops(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab = _mm512_max_epu32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_max_epu32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  return _mm512_max_epu32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}
inline __m512i tops_of_lanes(__m512i a, __m512i b) {
  return _mm512_max_epu32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
}
// Word 4L + i to place 4i + L.
inline __m512i turn_lanes(__m512i words) {
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), words);
}

// The largest magnitude around each of 16 groups of 16, within `group` values; a NaN is above all.
inline Vec group_tops(const float* from, std::uint32_t group) {
  __m512i tops[4];
  for (int i = 0; i < 4; ++i) {
    __m512i parts[4];
    for (int j = 0; j < 4; ++j) parts[j] = _mm512_castps_si512(magnitude(load(from + 64 * i + 16 * j)));
    tops[i] = lane_tops(parts[0], parts[1], parts[2], parts[3]);
  }
  __m512i top = tops_of_lanes(tops_of_lanes(tops[0], tops[1]), tops_of_lanes(tops[2], tops[3]));
  top = _mm512_max_epu32(top, _mm512_shuffle_epi32(top, _MM_PERM_CDAB));
  if (group == 64) top = _mm512_max_epu32(top, _mm512_shuffle_epi32(top, _MM_PERM_BADC));
  return _mm512_castsi512_ps(top);
}

// Levels of one input in order, and what goes beside them.
inline void pack_whole_column(const float* from, Packing packing, std::uint32_t c, __m512i (&levels)[4], LevelPanel& to) {
  Vec top = group_tops(from, input_group_of(packing));
  top = _mm512_mask_mov_ps(top, _mm512_cmp_ps_mask(top, splat(kTinyInput), _CMP_LT_OQ), zero());
  alignas(64) float inverse[kGroupsPerChunk], scales[kGroupsPerChunk], sums[kGroupsPerChunk];
  store(inverse, _mm512_maskz_div_ps(_mm512_cmp_ps_mask(top, zero(), _CMP_GT_OQ), splat(127.0f), top));
  const Vec scale = divide(top, splat(127.0f));
  store(scales, scale);
  __m512i fours[4];  // sums of four levels
  for (int i = 0; i < 4; ++i) {
    __m512i words[4];
    // The next chunk of this input: six inputs are read by turns, too far apart for the hardware to follow.
    for (int j = 0; j < 4; ++j) __builtin_prefetch(from + kChunk + 64 * i + 16 * j, 0, 3);
    for (int j = 0; j < 4; ++j) words[j] = _mm512_cvtps_epi32(mul(load(from + 64 * i + 16 * j), splat(inverse[4 * i + j])));
    const __m512i low = _mm512_packs_epi32(words[0], words[1]), high = _mm512_packs_epi32(words[2], words[3]);
    levels[i] = turn_lanes(_mm512_packs_epi16(low, high));
    fours[i] = plus_fours(no_words(), bytes(1), levels[i]);
  }
  for (std::uint32_t g = 0; g < kChunk / 32; ++g) to.scales[g][c] = scales[2 * g];
  if (!has_sums(packing)) return;
  const __m512i counts = turn_lanes(lane_sums(fours[0], fours[1], fours[2], fours[3]));
  store(sums, mul(scale, _mm512_cvtepi32_ps(_mm512_add_epi32(counts, _mm512_shuffle_epi32(counts, _MM_PERM_CDAB)))));
  for (std::uint32_t g = 0; g < kChunk / 32; ++g) to.sums[g][c] = sums[2 * g];
  if (!has_pairs(packing)) return;
  const Vec scaled = mul(scale, _mm512_cvtepi32_ps(counts)), both = add(scaled, _mm512_permute_ps(scaled, 0xb1));  // of 32 values, twice
  const float largest = std::bit_cast<float>(_mm512_reduce_max_epu32(_mm512_castps_si512(top)));
  const float pair_scale = largest / (127.0f * kPairSteps);
  const Vec to_pairs = splat(largest > 0 ? 1.0f / pair_scale : 0.0f);
  alignas(64) std::uint32_t pairs16[kChunk / 32], pairs32[kChunk / 64];
  _mm256_store_si256(reinterpret_cast<__m256i*>(pairs16), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(mul(scaled, to_pairs))));
  _mm_store_si128(reinterpret_cast<__m128i*>(pairs32), _mm512_cvtepi64_epi16(_mm512_cvtps_epi32(mul(both, to_pairs))));
  to.pair_scales[c] = pair_scale;
  for (std::uint32_t g = 0; g < kChunk / 32; ++g) std::memcpy(to.pairs16[g][c], &pairs16[g], 4);
  for (std::uint32_t g = 0; g < kChunk / 64; ++g) std::memcpy(to.pairs32[g][c], &pairs32[g], 4);
}

// Where words of kPanel columns go when they are laid side by side: word w of the result is word from[w] of column w % kPanel.
struct Interleaving {
  alignas(64) std::int32_t from[kPanel][16];
  std::uint16_t columns[kPanel][kPanel];  // which lanes of a result a column gives
};
constexpr Interleaving make_interleaving() {
  Interleaving out{};
  for (std::uint32_t w = 0; w < 16 * kPanel; ++w) {
    out.from[w / 16][w % 16] = static_cast<std::int32_t>(w / kPanel);
    out.columns[w / 16][w % kPanel] = static_cast<std::uint16_t>(out.columns[w / 16][w % kPanel] | 1u << w % 16);
  }
  return out;
}
constexpr Interleaving kInterleaving = make_interleaving();

// `values`: kPanel inputs of kChunk values, `stride` apart.
inline void pack_whole_panel(const float* values, std::size_t stride, Packing packing, LevelPanel& to) {
  __m512i levels[kPanel][4];
  for (std::uint32_t c = 0; c < kPanel; ++c) pack_whole_column(values + stride * c, packing, c, levels[c], to);
  for (std::uint32_t i = 0; i < 4; ++i)
    for (std::uint32_t part = 0; part < kPanel; ++part) {
      const __m512i from = _mm512_load_si512(kInterleaving.from[part]);
      __m512i words = bytes(0);
      for (std::uint32_t c = 0; c < kPanel; ++c) words = _mm512_mask_permutexvar_epi32(words, kInterleaving.columns[part][c], from, levels[c][i]);
      _mm512_store_si512(to.levels[16 * i][0] + std::size_t{64} * part, _mm512_xor_si512(words, bytes(has_signed_bytes(packing) ? 0 : 0x80)));
    }
}
