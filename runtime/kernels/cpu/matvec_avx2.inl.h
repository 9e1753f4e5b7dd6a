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

// Values that share a weight scale and an input scale: 16 or 32.
template <class F>
inline constexpr bool kScalesSpan32 = true;
template <BlockFormat F>
inline constexpr bool kScalesSpan32<F> = F::kGroup >= 32;

template <class F, int N>
void matvec_levels_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  constexpr int kShift = F::kMaxLevel <= 128 ? 0 : 128;
  const std::uint32_t chunks = chunks_of(weights.cols);
  const Vec to_offset = splat(static_cast<float>(kShift - kBiasOf<F>));
  const std::size_t bytes = chunk_bytes<F>(weights);
  for (std::uint32_t row = begin; row < end; ++row) {
    const std::byte* from = weights.data + row * weights.row_bytes;
    __m256 sums[N][2], offset_sums[N];
    for (int n = 0; n < N; ++n) sums[n][0] = sums[n][1] = offset_sums[n] = _mm256_setzero_ps();
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      Chunk q;
      Reader<F>::read(weights, row, chunk, q);
      fetch_ahead<N>(from + chunk * bytes, bytes);
      const Vec offsets = kShift != kBiasOf<F> ? fma(to_offset, q.scales, q.offsets) : q.offsets;
      for (int n = 0; n < N; ++n) {
        const std::size_t at = static_cast<std::size_t>(n) * chunks + chunk;
        const Vec input_sums = load(inputs.sums + at * kGroupsPerChunk);
        offset_sums[n] = _mm256_fmadd_ps(offsets.low, input_sums.low, _mm256_fmadd_ps(offsets.high, input_sums.high, offset_sums[n]));
        alignas(32) float scales[kGroupsPerChunk];
        const Vec scale = mul(q.scales, load(inputs.scales + at * kGroupsPerChunk));
        store(scales, scale);
        for (int i = 0; i < 8; ++i) {
          const __m256i dot = dot32<F::kMaxLevel>(q.levels[i], load32(inputs.levels + at * kChunk + 32 * i));
          const __m256 own = kScalesSpan32<F> ? _mm256_broadcast_ss(scales + 2 * i)
                                              : _mm256_permutevar8x32_ps(i < 4 ? scale.low : scale.high, _mm256_add_epi32(_mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1), _mm256_set1_epi32(i % 4 * 2)));
          sums[n][i % 2] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), own, sums[n][i % 2]);
        }
      }
    }
    for (int n = 0; n < N; ++n) {
      float& to = out.data[static_cast<std::size_t>(n) * out.stride + row];
      const float product = reduce_add({_mm256_add_ps(sums[n][0], offset_sums[n]), sums[n][1]});
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
