// Integer mat-vec for AVX-512 VNNI: levels stay in four registers between the file's bytes and vpdpbusd.

// Sums kept apart per input, so that no add waits for the one before it; as many as registers allow.
template <int N>
inline constexpr int kChains = N == 1 ? 5 : N == 2 ? 4 : N == 3 ? 3 : 2;

// MLX rows come in three streams (levels, scales, biases), and the hardware does not run far enough ahead in each.
inline void prefetch_levels(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk) {
  constexpr std::size_t kAhead = 4096;
  const std::size_t bytes = weights.row_bytes * kChunk / weights.cols;
  const char* at = reinterpret_cast<const char*>(weights.data) + row * weights.row_bytes + chunk * bytes + kAhead;
  for (std::size_t i = 0; i < bytes; i += 64) _mm_prefetch(at + i, _MM_HINT_T0);
}

template <class F, int N>
void matvec_levels_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  const std::uint32_t chunks = chunks_of(weights.cols);
  const Vec bias = splat(static_cast<float>(kBiasOf<F>));
  __m512i spread[4];  // lane -> group: four lanes hold the four-value sums of one group of 16
  for (int i = 0; i < 4; ++i) spread[i] = _mm512_add_epi32(_mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), _mm512_set1_epi32(4 * i));
  for (std::uint32_t row = begin; row < end; ++row) {
    Vec sums[N][kChains<N>];
    for (int n = 0; n < N; ++n)
      for (Vec& sum : sums[n]) sum = zero();
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      Chunk q;
      Reader<F>::read(weights, row, chunk, q);
      if constexpr (MlxFormat<F>) prefetch_levels(weights, row, chunk);
      const Vec offsets = kBiasOf<F> != 0 ? _mm512_fnmadd_ps(bias, q.scales, q.offsets) : q.offsets;
      for (int n = 0; n < N; ++n) {
        const std::size_t at = static_cast<std::size_t>(n) * chunks + chunk;
        Vec& offset_sum = sums[n][4 % kChains<N>];
        offset_sum = fma(offsets, load(inputs.sums + at * kGroupsPerChunk), offset_sum);
        const Vec scale = mul(q.scales, load(inputs.scales + at * kGroupsPerChunk));
        for (int i = 0; i < 4; ++i) {
          const __m512i dot = _mm512_dpbusd_epi32(_mm512_setzero_si512(), q.levels[i], _mm512_loadu_si512(inputs.levels + at * kChunk + 64 * i));
          Vec& sum = sums[n][i % kChains<N>];
          sum = fma(_mm512_cvtepi32_ps(dot), _mm512_permutexvar_ps(spread[i], scale), sum);
        }
      }
    }
    for (int n = 0; n < N; ++n) {
      Vec total = sums[n][0];
      for (int chain = 1; chain < kChains<N>; ++chain) total = add(total, sums[n][chain]);
      float& to = out.data[static_cast<std::size_t>(n) * out.stride + row];
      const float product = reduce_add(total);
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
