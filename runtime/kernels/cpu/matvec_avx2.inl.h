// Integer mat-vec for AVX2: vpmaddubsw on unsigned levels, the sign trick where levels need more than 7 bits.

// Dot of 32 levels and 32 signed inputs as 8 sums of four.
template <int kMaxLevel>
inline __m256i dot32(__m256i levels, __m256i inputs) {
  const __m256i ones = _mm256_set1_epi16(1);
  if constexpr (kMaxLevel <= 128) {  // 2 * 128 * 127 fits in 16 bits
    return _mm256_madd_epi16(_mm256_maddubs_epi16(levels, inputs), ones);
  } else {  // levels - 128, signed; matvec puts the 128 into the offset
    const __m256i weights = _mm256_xor_si256(levels, _mm256_set1_epi8(-128));
    return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(inputs, weights)), ones);
  }
}

template <class F, int N>
void matvec_levels_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  constexpr int kShift = F::kMaxLevel <= 128 ? 0 : 128;
  const std::uint32_t chunks = chunks_of(weights.cols);
  const Vec to_offset = splat(static_cast<float>(kShift - kBiasOf<F>));
  const __m256i spread_low = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1), step = _mm256_set1_epi32(2);
  ChunkData data;
  for (std::uint32_t row = begin; row < end; ++row) {
    Vec sums[N];
    for (int n = 0; n < N; ++n) sums[n] = zero();
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      read_chunk<F>(weights, row, chunk, data);
      const Vec scales = load(data.scales);
      const Vec offsets = fma(to_offset, scales, load(data.offsets));
      for (int n = 0; n < N; ++n) {
        const std::size_t at = static_cast<std::size_t>(n) * chunks + chunk;
        sums[n] = fma(offsets, load(inputs.sums + at * kGroupsPerChunk), sums[n]);
        const Vec scale = mul(scales, load(inputs.scales + at * kGroupsPerChunk));
        const __m256i* x = reinterpret_cast<const __m256i*>(inputs.levels + at * kChunk);
        const __m256i* q = reinterpret_cast<const __m256i*>(data.levels);
        __m256i spread = spread_low;
        for (int i = 0; i < 4; ++i) {
          const __m256i low = dot32<F::kMaxLevel>(_mm256_load_si256(q + i), _mm256_loadu_si256(x + i));
          const __m256i high = dot32<F::kMaxLevel>(_mm256_load_si256(q + 4 + i), _mm256_loadu_si256(x + 4 + i));
          sums[n].low = _mm256_fmadd_ps(_mm256_cvtepi32_ps(low), _mm256_permutevar8x32_ps(scale.low, spread), sums[n].low);
          sums[n].high = _mm256_fmadd_ps(_mm256_cvtepi32_ps(high), _mm256_permutevar8x32_ps(scale.high, spread), sums[n].high);
          spread = _mm256_add_epi32(spread, step);
        }
      }
    }
    for (int n = 0; n < N; ++n) {
      float& to = out.data[static_cast<std::size_t>(n) * out.stride + row];
      const float product = reduce_add(sums[n]);
      to = out.add ? to + product : product;
    }
  }
}

template <class F>
void matvec_levels(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  switch (inputs.count) {
    case 1: return matvec_levels_n<F, 1>(weights, inputs, begin, end, out);
    case 2: return matvec_levels_n<F, 2>(weights, inputs, begin, end, out);
    case 3: return matvec_levels_n<F, 3>(weights, inputs, begin, end, out);
    default: return matvec_levels_n<F, 4>(weights, inputs, begin, end, out);
  }
}
