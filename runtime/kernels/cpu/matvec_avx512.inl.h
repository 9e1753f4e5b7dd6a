// Integer mat-vec for AVX-512 VNNI: levels stay in four registers between the file's bytes and vpdpbusd.

// Sums kept apart per input, so that no add waits for the one before it; as many as registers allow.
template <int N>
inline constexpr int kChains = N == 1 ? 5 : N == 2 ? 4 : N == 3 ? 3 : 2;


template <int N>
inline void write_sums(const Vec (&sums)[N][kChains<N>], std::uint32_t row, const Outputs& out) {
  for (int n = 0; n < N; ++n) {
    Vec total = sums[n][0];
    for (int chain = 1; chain < kChains<N>; ++chain) total = add(total, sums[n][chain]);
    float& to = out.data[static_cast<std::size_t>(n) * out.stride + row];
    const float product = reduce_add(total);
    to = out.add ? to + product : product;
  }
}

// sums += scale x (levels . inputs) of one chunk; lane i of `spread` names the lane of `scale` that its four values have.
template <int N>
[[gnu::always_inline]] inline void add_dots(const Chunk& q, const std::int8_t* inputs, const __m512i (&spread)[4], Vec scale, Vec (&sums)[kChains<N>]) {
  for (int i = 0; i < 4; ++i) {
    const __m512i dot = _mm512_dpbusd_epi32(_mm512_setzero_si512(), q.levels[i], _mm512_loadu_si512(inputs + 64 * i));
    Vec& sum = sums[i % kChains<N>];
    sum = fma(_mm512_cvtepi32_ps(dot), _mm512_permutexvar_ps(spread[i], scale), sum);
  }
}

template <class F, int N>
void matvec_levels_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  const std::uint32_t chunks = chunks_of(weights.cols);
  const Vec bias = splat(static_cast<float>(kBiasOf<F>));
  __m512i spread[4];  // lane -> group: four lanes hold the four-value sums of one group of 16
  for (int i = 0; i < 4; ++i) spread[i] = _mm512_add_epi32(_mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), _mm512_set1_epi32(4 * i));
  const std::size_t bytes = chunk_bytes<F>(weights);
  for (std::uint32_t row = begin; row < end; ++row) {
    const std::byte* from = weights.data + row * weights.row_bytes;
    Vec sums[N][kChains<N>];
    for (int n = 0; n < N; ++n)
      for (Vec& sum : sums[n]) sum = zero();
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      Chunk q;
      Reader<F>::read(weights, row, chunk, q);
      fetch_ahead<N>(from + chunk * bytes, bytes);
      const Vec offsets = kBiasOf<F> != 0 ? _mm512_fnmadd_ps(bias, q.scales, q.offsets) : q.offsets;
      for (int n = 0; n < N; ++n) {
        const std::size_t at = static_cast<std::size_t>(n) * chunks + chunk;
        Vec& offset_sum = sums[n][4 % kChains<N>];
        offset_sum = fma(offsets, load(inputs.sums + at * kGroupsPerChunk), offset_sum);
        const Vec scale = mul(q.scales, load(inputs.scales + at * kGroupsPerChunk));
        add_dots<N>(q, inputs.levels + at * kChunk, spread, scale, sums[n]);
      }
    }
    write_sums<N>(sums, row, out);
  }
}

// Q4_K and Q5_K, with fewer instructions: scale and minimum of a group side by side, so that all sixteen numbers of a block are
// converted and multiplied together.
template <class F>
inline constexpr bool kHasWholePairs = std::is_same_v<F, Q4_K> || std::is_same_v<F, Q5_K>;
constexpr std::uint32_t kMostPairedChunks = 64;  // longer rows take the way of all formats

template <class F, int N>
void matvec_pairs_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  using Block = typename F::Block;
  constexpr __mmask16 kMinimums = 0xaaaa;
  const std::uint32_t chunks = chunks_of(weights.cols);
  alignas(64) float pairs[N][kMostPairedChunks][16];  // of 32 values each: their scale, and minus their sum
  for (std::uint32_t n = 0; n < N; ++n)
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      const std::size_t at = (std::size_t{n} * chunks + chunk) * kGroupsPerChunk;
      const Vec sum16 = load(inputs.sums + at), sum32 = add(sum16, _mm512_permute_ps(sum16, 0xb1));
      store(pairs[n][chunk], _mm512_mask_mov_ps(load(inputs.scales + at), kMinimums, negate(sum32)));
    }
  __m512i spread[4];  // lane -> pair: eight lanes hold the four-value sums of one group of 32
  for (int i = 0; i < 4; ++i) spread[i] = _mm512_add_epi32(_mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2), _mm512_set1_epi32(4 * i));
  for (std::uint32_t row = begin; row < end; ++row) {
    const Block* block = reinterpret_cast<const Block*>(weights.data + row * weights.row_bytes);
    Vec sums[N][kChains<N>];
    for (int n = 0; n < N; ++n)
      for (Vec& sum : sums[n]) sum = zero();
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk, ++block) {
      Chunk q;
      decode_levels(block, q);
      fetch_ahead<N>(reinterpret_cast<const std::byte*>(block), sizeof(Block));
      const KAffines affines = read_k_affines(block->scales);
      const Vec whole = unsigned_bytes(_mm_unpacklo_epi8(_mm_cvtsi64_si128(static_cast<long long>(affines.scales)), _mm_cvtsi64_si128(static_cast<long long>(affines.minimums))));
      const Vec pair = mul(whole, _mm512_cvtph_ps(_mm256_set1_epi32(word_at<std::int32_t>(&block->d))));  // d and dmin
      for (int n = 0; n < N; ++n) {
        const Vec scale = mul(pair, load(pairs[n][chunk]));
        Vec& offset_sum = sums[n][4 % kChains<N>];
        offset_sum = _mm512_mask_add_ps(offset_sum, kMinimums, offset_sum, scale);
        add_dots<N>(q, inputs.levels + (static_cast<std::size_t>(n) * chunks + chunk) * kChunk, spread, scale, sums[n]);
      }
    }
    write_sums<N>(sums, row, out);
  }
}

template <class F, int N>
void matvec_levels_or_pairs(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  if constexpr (kHasWholePairs<F>)
    if (chunks_of(weights.cols) <= kMostPairedChunks) return matvec_pairs_n<F, N>(weights, inputs, begin, end, out);
  matvec_levels_n<F, N>(weights, inputs, begin, end, out);
}

template <class F>
void matvec_levels(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  switch (inputs.count) {
    case 1: return matvec_levels_or_pairs<F, 1>(weights, inputs, begin, end, out);
    case 2: return matvec_levels_or_pairs<F, 2>(weights, inputs, begin, end, out);
    case 3: return matvec_levels_or_pairs<F, 3>(weights, inputs, begin, end, out);
    default: return matvec_levels_or_pairs<F, 4>(weights, inputs, begin, end, out);
  }
}
