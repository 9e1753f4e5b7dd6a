// Blocks of 16 rows side by side: what is stored is turned first and taken apart then, one row in each 32-bit lane, which takes a
// quarter of the time that decoding row after row and turning the levels takes. For the commonest formats.

// Where the blocks of 16 rows are; those of absent rows hold zeros.
using BlockColumn = const std::byte*[16];
inline constexpr std::byte kNoBlock[8 * sizeof(Q8_0::Block)] = {};  // the longest

// Words [0, kBytes / 4) of 16 blocks: out[w] holds word w of every block.
template <int kBytes>
inline void turn_words(const BlockColumn& blocks, std::size_t at, __m512i* out) {
  static_assert(kBytes % 32 == 0);
  for (int from = 0; from < kBytes; from += 64) {
    __m512i r[16];
    for (int i = 0; i < 16; ++i) {
      const std::byte* words = blocks[i] + at + from;
      r[i] = kBytes - from < 64 ? _mm512_castsi256_si512(load32(words)) : _mm512_loadu_si512(words);
    }
    transpose16(r);
    for (int i = 0; i < std::min(16, (kBytes - from) / 4); ++i) out[from / 4 + i] = r[i];
  }
}
// The same for 16 bytes.
inline void turn_four_words(const BlockColumn& blocks, std::size_t at, __m512i (&out)[4]) {
  __m512i r[4];
  for (int j = 0; j < 4; ++j) {  // lane L of 128 bits: row 4L + j
    r[j] = _mm512_castsi128_si512(load16(blocks[j] + at));
    r[j] = _mm512_inserti32x4(r[j], load16(blocks[4 + j] + at), 1);
    r[j] = _mm512_inserti32x4(r[j], load16(blocks[8 + j] + at), 2);
    r[j] = _mm512_inserti32x4(r[j], load16(blocks[12 + j] + at), 3);
  }
  const __m512i a = _mm512_unpacklo_epi32(r[0], r[1]), b = _mm512_unpackhi_epi32(r[0], r[1]);
  const __m512i c = _mm512_unpacklo_epi32(r[2], r[3]), d = _mm512_unpackhi_epi32(r[2], r[3]);
  out[0] = _mm512_unpacklo_epi64(a, c);
  out[1] = _mm512_unpackhi_epi64(a, c);
  out[2] = _mm512_unpacklo_epi64(b, d);
  out[3] = _mm512_unpackhi_epi64(b, d);
}
inline Vec halves_to_floats(__m512i words) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words)); }  // of the lower 16 bits

// Puts four values of 16 rows in their place, and counts them for the tile's starts.
inline void put_levels(LevelTile& tile, std::uint32_t half, int step, __m512i levels, __m512i& sum) {
  _mm512_store_si512(tile.levels[step][half], levels);
  dot_levels(sum, bytes(-128), levels);
}
inline void put_start(LevelTile& tile, std::uint32_t half, int group, __m512i sum) {
  _mm512_store_si512(tile.starts[group] + half, _mm512_sub_epi32(_mm512_setzero_si512(), sum));
}

// The 16 bytes before the levels of Q4_K and Q5_K: two scales of scales, eight scales and eight minimums of 6 bits.
inline void turn_k_affines(const BlockColumn& blocks, std::uint32_t half, LevelTile& tile) {
  __m512i head[4];
  turn_four_words(blocks, 0, head);
  const __m512i six = bytes(0x3f), four = bytes(0x0f), two = bytes(0x30);
  const __m512i scales[2] = {_mm512_and_si512(head[1], six),
                             _mm512_or_si512(_mm512_and_si512(head[3], four), _mm512_and_si512(_mm512_srli_epi32(head[1], 2), two))};
  const __m512i minimums[2] = {_mm512_and_si512(head[2], six), _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi32(head[3], 4), four),
                                                                               _mm512_and_si512(_mm512_srli_epi32(head[2], 2), two))};
  const Vec d = halves_to_floats(head[0]);
  store(tile.minimum_scales + half, negate(halves_to_floats(_mm512_srli_epi32(head[0], 16))));
  const __m512i low = _mm512_set1_epi32(0xff);
#pragma GCC unroll 8
  for (unsigned g = 0; g < 8; ++g) {
    const __m512i scale = _mm512_and_si512(_mm512_srli_epi32(scales[g / 4], 8 * (g % 4)), low);
    store(tile.scales[2 * g] + half, mul(d, _mm512_cvtepi32_ps(scale)));
  }
#pragma GCC unroll 4
  for (unsigned pair = 0; pair < 4; ++pair) {
    const __m512i both = _mm512_srli_epi32(minimums[pair / 2], 16 * (pair % 2));
    const __m512i second = _mm512_and_si512(_mm512_slli_epi32(both, 8), _mm512_set1_epi32(0xff0000));
    _mm512_store_si512(tile.minimums[pair][half], _mm512_or_si512(_mm512_and_si512(both, low), second));
  }
}

inline void turn_blocks(std::type_identity<Q4_K>, const BlockColumn& blocks, std::uint32_t half, LevelTile& tile) {
  turn_k_affines(blocks, half, tile);
  __m512i words[32];
  turn_words<128>(blocks, offsetof(Q4_K::Block, levels), words);
  for (int i = 0; i < 4; ++i) {
    __m512i low_sum = _mm512_setzero_si512(), high_sum = low_sum;
    for (int k = 0; k < 8; ++k) {
      put_levels(tile, half, 16 * i + k, _mm512_and_si512(words[8 * i + k], bytes(15)), low_sum);
      put_levels(tile, half, 16 * i + 8 + k, _mm512_and_si512(_mm512_srli_epi32(words[8 * i + k], 4), bytes(15)), high_sum);
    }
    put_start(tile, half, 2 * i, low_sum);
    put_start(tile, half, 2 * i + 1, high_sum);
  }
}

inline void turn_blocks(std::type_identity<Q5_K>, const BlockColumn& blocks, std::uint32_t half, LevelTile& tile) {
  turn_k_affines(blocks, half, tile);
  __m512i high[8], words[32];
  turn_words<32>(blocks, offsetof(Q5_K::Block, high), high);
  turn_words<128>(blocks, offsetof(Q5_K::Block, low), words);
  for (unsigned i = 0; i < 4; ++i) {
    __m512i low_sum = _mm512_setzero_si512(), high_sum = low_sum;
    for (unsigned k = 0; k < 8; ++k) {
      const __m512i word = words[8 * i + k], fifth = _mm512_srli_epi32(high[k], 2 * i);
      const __m512i first = _mm512_and_si512(_mm512_slli_epi32(fifth, 4), bytes(16)), second = _mm512_and_si512(_mm512_slli_epi32(fifth, 3), bytes(16));
      const int step = static_cast<int>(16 * i + k);
      put_levels(tile, half, step, _mm512_or_si512(_mm512_and_si512(word, bytes(15)), first), low_sum);
      put_levels(tile, half, step + 8, _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi32(word, 4), bytes(15)), second), high_sum);
    }
    put_start(tile, half, static_cast<int>(2 * i), low_sum);
    put_start(tile, half, static_cast<int>(2 * i + 1), high_sum);
  }
}

inline void turn_blocks(std::type_identity<Q6_K>, const BlockColumn& blocks, std::uint32_t half, LevelTile& tile) {
  __m512i low[32], high[16], scales[4];
  turn_words<128>(blocks, offsetof(Q6_K::Block, low), low);
  turn_words<64>(blocks, offsetof(Q6_K::Block, high), high);
  turn_four_words(blocks, offsetof(Q6_K::Block, scales), scales);
  alignas(32) std::uint16_t scale_bits[16];
  for (int r = 0; r < 16; ++r) scale_bits[r] = word_at<std::uint16_t>(blocks[r] + offsetof(Q6_K::Block, d));
  const Vec d = _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(scale_bits)));
#pragma GCC unroll 4
  for (unsigned i = 0; i < 4; ++i) {
#pragma GCC unroll 4
    for (unsigned k = 0; k < 4; ++k) {
      const __m512i scale = _mm512_srai_epi32(_mm512_slli_epi32(scales[i], 24 - 8 * k), 24);
      store(tile.scales[4 * i + k] + half, mul(d, _mm512_cvtepi32_ps(scale)));
    }
  }
#pragma GCC unroll 8
  for (int run = 0; run < 8; ++run) {  // of 32 values: where their four low and two high bits are
    const int part = run / 4, place = run % 4;
    for (int group = 0; group < 2; ++group) {
      __m512i sum = _mm512_setzero_si512();
      for (int k = 4 * group; k < 4 * group + 4; ++k) {
        const __m512i nibbles = low[16 * part + 8 * (place % 2) + k], word = high[8 * part + k];
        const __m512i four = _mm512_and_si512(place < 2 ? nibbles : _mm512_srli_epi32(nibbles, 4), bytes(15));
        const __m512i moved = place == 3 ? _mm512_srli_epi32(word, 2) : _mm512_slli_epi32(word, static_cast<unsigned>(4 - 2 * place));
        const __m512i level = _mm512_or_si512(four, _mm512_and_si512(moved, bytes(0x30)));
        put_levels(tile, half, 8 * run + k, _mm512_sub_epi8(level, bytes(Q6_K::kBias)), sum);
      }
      put_start(tile, half, 2 * run + group, sum);
    }
  }
}

inline void turn_blocks(std::type_identity<Q8_0>, const BlockColumn& blocks, std::uint32_t half, LevelTile& tile) {
  constexpr std::size_t kSize = sizeof(Q8_0::Block), kValues = offsetof(Q8_0::Block, values);
  alignas(32) std::uint16_t scale_bits[8][16];
  for (std::size_t r = 0; r < 16; ++r)
    for (std::size_t b = 0; b < 8; ++b) scale_bits[b][r] = word_at<std::uint16_t>(blocks[r] + b * kSize);
  for (std::size_t b = 0; b < 8; ++b) store(tile.scales[2 * b] + half, _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(scale_bits[b]))));
  for (int pair = 0; pair < 4; ++pair) {
    __m512i r[16];
    for (int i = 0; i < 16; ++i) {
      const std::byte* at = blocks[i] + static_cast<std::size_t>(2 * pair) * kSize + kValues;
      r[i] = join(load32(at), load32(at + kSize));
    }
    transpose16(r);
    for (int block = 0; block < 2; ++block) {
      __m512i sum = _mm512_setzero_si512();
      for (int k = 8 * block; k < 8 * block + 8; ++k) put_levels(tile, half, 16 * pair + k, r[k], sum);
      put_start(tile, half, 2 * pair + block, sum);
    }
  }
}

template <class F>
concept TurnsBlocks = requires(const BlockColumn& blocks, LevelTile& tile) { turn_blocks(std::type_identity<F>{}, blocks, 0u, tile); };

// `rows` <= 32 of whole chunks.
template <TurnsBlocks F>
void turn_tile(const WeightRows& weights, std::uint32_t first_row, std::uint32_t rows, std::uint32_t chunk, LevelTile& tile) {
  constexpr std::size_t kBytes = kChunk / F::kBlock * sizeof(typename F::Block);
  static_assert(kBytes <= sizeof kNoBlock);
  for (std::uint32_t half = 0; half < kTileRows; half += 16) {
    BlockColumn blocks;
    for (std::uint32_t r = 0; r < 16; ++r)
      blocks[r] = half + r < rows ? weights.data + (first_row + half + r) * weights.row_bytes + chunk * kBytes : kNoBlock;
    turn_blocks(std::type_identity<F>{}, blocks, half, tile);
  }
}
