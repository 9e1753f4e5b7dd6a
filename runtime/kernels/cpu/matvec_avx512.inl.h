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

// Q4_K and Q5_K, with fewer instructions: scale and minimum of a group of 32 side by side, so that all sixteen numbers of a block
// are taken apart, converted and multiplied together.
template <class F>
inline constexpr bool kHasWholePairs = std::is_same_v<F, Q4_K> || std::is_same_v<F, Q5_K>;
constexpr std::uint32_t kMostPairedChunks = 64;  // longer rows take the way of all formats

// Lane 2g: the 6-bit scale of group g; lane 2g + 1: its minimum (layout: runtime/quant). The last four groups have their lower bits
// in one nibble and the upper two in the byte of another group.
struct PairFields {
  alignas(64) std::uint8_t bytes[64];  // of the block's: lower bits, upper bits, two zeros
  alignas(64) std::uint32_t shifts[16], masks[16];
};
constexpr PairFields make_pair_fields() {
  PairFields out{};
  constexpr std::uint8_t kZero = 0x80;
  for (std::uint8_t lane = 0; lane < 16; ++lane) {
    const std::uint8_t group = lane / 2 % 4, own = static_cast<std::uint8_t>(lane % 2 * 4 + group);
    const bool is_split = lane >= 8;
    const std::uint8_t bytes[4] = {is_split ? static_cast<std::uint8_t>(8 + group) : own, is_split ? own : kZero, kZero, kZero};
    for (int i = 0; i < 4; ++i) out.bytes[4 * lane + i] = bytes[i];
    out.shifts[lane] = is_split && lane % 2 == 1 ? 4 : 0;
    out.masks[lane] = is_split ? 0x0f : 0x3f;
  }
  return out;
}
constexpr PairFields kPairFields = make_pair_fields();
// Reads 16 bytes: four more than the scales have, which are the block's, too.
[[gnu::always_inline]] inline __m512i read_pairs(const std::uint8_t* scales) {
  const __m512i fields = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(load16(scales)), _mm512_load_si512(kPairFields.bytes));
  const __m512i low = _mm512_and_si512(_mm512_srlv_epi32(fields, _mm512_load_si512(kPairFields.shifts)), _mm512_load_si512(kPairFields.masks));
  return _mm512_or_si512(low, _mm512_and_si512(_mm512_srli_epi32(fields, 10), _mm512_set1_epi32(0x30)));
}

// Levels of a block in the order that takes the fewest instructions: half h of the registers holds group kGroupOfHalf[h]. Upper
// nibbles of Q4_K stay where they are, and count sixteen times as much.
template <class F>
inline constexpr int kGroupOfHalf[8] = {0, 1, 2, 3, 4, 5, 6, 7};
template <>
inline constexpr int kGroupOfHalf<Q4_K>[8] = {0, 2, 1, 3, 4, 6, 5, 7};
template <class F>
inline constexpr float kOddGroupsCount = 1;
template <>
inline constexpr float kOddGroupsCount<Q4_K> = 16;
[[gnu::always_inline]] inline void split_levels(const Q4_K::Block* block, Chunk& out) {
  for (int i = 0; i < 2; ++i) {
    const __m512i both = _mm512_loadu_si512(block->levels + 64 * i);
    out.levels[2 * i] = _mm512_and_si512(both, bytes(0x0f));
    out.levels[2 * i + 1] = _mm512_and_si512(both, bytes(0xf0));
  }
}
[[gnu::always_inline]] inline void split_levels(const Q5_K::Block* block, Chunk& out) { decode_levels(block, out); }

// Inputs as the levels of a block lie, and for every pair of it the input's scale and minus its sum.
template <class F>
struct PairedInput {
  alignas(64) std::int8_t levels[kMostPairedChunks][8][32];
  alignas(64) float pairs[kMostPairedChunks][16];

  void prepare(const std::int8_t* from, const float* scales, const float* sums, std::uint32_t chunks) {
    const Vec parts = _mm512_mask_mov_ps(splat(1), 0x4444, splat(1 / kOddGroupsCount<F>));  // of what a scale is for odd groups
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk, from += kChunk, scales += kGroupsPerChunk, sums += kGroupsPerChunk) {
      const Vec sum16 = load(sums), sum32 = add(sum16, _mm512_permute_ps(sum16, 0xb1));
      store(pairs[chunk], _mm512_mask_mov_ps(mul(load(scales), parts), kMinimums, negate(sum32)));
      for (int half = 0; half < 8; ++half) std::memcpy(levels[chunk][half], from + 32 * kGroupOfHalf<F>[half], 32);
    }
  }
  static constexpr __mmask16 kMinimums = 0xaaaa;
};

template <class F, int N>
void matvec_pairs_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  using Block = typename F::Block;
  const std::uint32_t chunks = chunks_of(weights.cols);
  PairedInput<F> paired[N];
  for (std::size_t n = 0; n < N; ++n)
    paired[n].prepare(inputs.levels + n * chunks * kChunk, inputs.scales + n * chunks * kGroupsPerChunk, inputs.sums + n * chunks * kGroupsPerChunk, chunks);
  __m512i spread[4];  // lane -> pair: eight lanes hold the four-value sums of one group
  for (int i = 0; i < 4; ++i) {
    const int low = 2 * kGroupOfHalf<F>[2 * i], high = 2 * kGroupOfHalf<F>[2 * i + 1];
    spread[i] = _mm512_setr_epi32(low, low, low, low, low, low, low, low, high, high, high, high, high, high, high, high);
  }
  for (std::uint32_t row = begin; row < end; ++row) {
    const Block* block = reinterpret_cast<const Block*>(weights.data + row * weights.row_bytes);
    Vec sums[N][kChains<N>];
    for (int n = 0; n < N; ++n)
      for (Vec& sum : sums[n]) sum = zero();
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk, ++block) {
      Chunk q;
      split_levels(block, q);
      fetch_ahead<N>(reinterpret_cast<const std::byte*>(block), sizeof(Block));
      const Vec pair = mul(_mm512_cvtepi32_ps(read_pairs(block->scales)), _mm512_cvtph_ps(_mm256_set1_epi32(word_at<std::int32_t>(&block->d))));  // d and dmin
      for (int n = 0; n < N; ++n) {
        const Vec scale = mul(pair, load(paired[n].pairs[chunk]));
        Vec& offset_sum = sums[n][4 % kChains<N>];
        offset_sum = _mm512_mask_add_ps(offset_sum, PairedInput<F>::kMinimums, offset_sum, scale);
        add_dots<N>(q, paired[n].levels[chunk][0], spread, scale, sums[n]);
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
