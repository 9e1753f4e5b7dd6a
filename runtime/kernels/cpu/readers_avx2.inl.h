// AVX2 readers: one chunk of a row from the file's bytes to levels, scales and offsets in memory.

// Chunks come through memory; the formats' plain readers are inlined and vectorised by the compiler.
template <class F>
inline void read_chunk(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, ChunkData& out) {
  gather_chunk<F>(weights, row, chunk, out);
}


inline void store_k_affines(const std::uint8_t* packed, float d, float dmin, ChunkData& out) {
  for (int g = 0; g < 8; ++g) {
    const Q4_K::SixBit bits = Q4_K::sixbit(packed, g);
    out.scales[2 * g] = out.scales[2 * g + 1] = d * static_cast<float>(bits.scale);
    out.offsets[2 * g] = out.offsets[2 * g + 1] = -(dmin * static_cast<float>(bits.min));
  }
}

template <>
inline void read_chunk<Q4_K>(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, ChunkData& out) {
  const auto& block = *reinterpret_cast<const Q4_K::Block*>(weights.data + row * weights.row_bytes + chunk * sizeof(Q4_K::Block));
  const __m256i mask = _mm256_set1_epi8(15);
  for (int i = 0; i < 4; ++i) {
    const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.levels + 32 * i));
    _mm256_store_si256(reinterpret_cast<__m256i*>(out.levels + 64 * i), _mm256_and_si256(pairs, mask));
    _mm256_store_si256(reinterpret_cast<__m256i*>(out.levels + 64 * i + 32), _mm256_and_si256(_mm256_srli_epi16(pairs, 4), mask));
  }
  store_k_affines(block.scales, to_float(block.d), to_float(block.dmin), out);
}

template <>
inline void read_chunk<Q6_K>(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, ChunkData& out) {
  const auto& block = *reinterpret_cast<const Q6_K::Block*>(weights.data + row * weights.row_bytes + chunk * sizeof(Q6_K::Block));
  const __m256i low_mask = _mm256_set1_epi8(15), high_mask = _mm256_set1_epi8(0x30);
  for (int half = 0; half < 2; ++half) {
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.high + 32 * half));
    const __m256i low0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.low + 64 * half));
    const __m256i low1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.low + 64 * half + 32));
    __m256i* to = reinterpret_cast<__m256i*>(out.levels + 128 * half);
    _mm256_store_si256(to, _mm256_or_si256(_mm256_and_si256(low0, low_mask), _mm256_and_si256(_mm256_slli_epi16(high, 4), high_mask)));
    _mm256_store_si256(to + 1, _mm256_or_si256(_mm256_and_si256(low1, low_mask), _mm256_and_si256(_mm256_slli_epi16(high, 2), high_mask)));
    _mm256_store_si256(to + 2, _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(low0, 4), low_mask), _mm256_and_si256(high, high_mask)));
    _mm256_store_si256(to + 3, _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(low1, 4), low_mask), _mm256_and_si256(_mm256_srli_epi16(high, 2), high_mask)));
  }
  const float d = to_float(block.d);
  for (int g = 0; g < 16; ++g) out.scales[g] = d * static_cast<float>(block.scales[g]), out.offsets[g] = 0;
}
