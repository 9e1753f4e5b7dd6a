// Integer mat-vec for AVX-512: levels stay in four registers between the file's bytes and vpdpbusd, or vpmaddubsw and vpmaddwd.

// sum + the dot of 64 levels and 64 signed inputs as 16 sums of four.
template <class F>
[[gnu::always_inline]] inline __m512i plus_dots(__m512i sum, __m512i levels, __m512i inputs) {
  if constexpr (kDotShift<F> == 0) {
    return plus_fours(sum, levels, inputs);
  } else {
    const __m512i weights = _mm512_xor_si512(levels, bytes(-128));
    return plus_fours(sum, _mm512_abs_epi8(weights), _mm512_mask_sub_epi8(inputs, _mm512_movepi8_mask(weights), no_words(), inputs));
  }
}

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
template <class F, int N>
[[gnu::always_inline]] inline void add_dots(const Chunk& q, const std::int8_t* inputs, const __m512i (&spread)[4], Vec scale, Vec (&sums)[kChains<N>]) {
  for (int i = 0; i < 4; ++i) {
    const __m512i dot = plus_dots<F>(no_words(), q.levels[i], _mm512_loadu_si512(inputs + 64 * i));
    Vec& sum = sums[i % kChains<N>];
    sum = fma(_mm512_cvtepi32_ps(dot), _mm512_permutexvar_ps(spread[i], scale), sum);
  }
}

template <class F, int N>
void matvec_levels_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  const std::uint32_t chunks = chunks_of(weights.cols);
  const Vec to_offset = splat(static_cast<float>(kDotShift<F> - kBiasOf<F>));
  __m512i spread[4];  // lane -> group: four lanes hold the four-value sums of one group of 16
  for (int i = 0; i < 4; ++i) spread[i] = _mm512_add_epi32(_mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), _mm512_set1_epi32(4 * i));
  for (std::uint32_t row = begin; row < end; ++row) {
    const std::byte* from = weights.data + row * weights.row_bytes;
    Vec sums[N][kChains<N>];
    for (int n = 0; n < N; ++n)
      for (Vec& sum : sums[n]) sum = zero();
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      Chunk q;
      Reader<F>::read(weights, row, chunk, q);
      fetch_ahead(from + chunk * kChunkBytes<F>, kChunkBytes<F>);
      const Vec offsets = kDotShift<F> != kBiasOf<F> ? fma(to_offset, q.scales, q.offsets) : q.offsets;
      for (int n = 0; n < N; ++n) {
        const std::size_t at = static_cast<std::size_t>(n) * chunks + chunk;
        Vec& offset_sum = sums[n][4 % kChains<N>];
        offset_sum = fma(offsets, load(inputs.sums + at * kGroupsPerChunk), offset_sum);
        const Vec scale = mul(q.scales, load(inputs.scales + at * kGroupsPerChunk));
        add_dots<F, N>(q, inputs.levels + at * kChunk, spread, scale, sums[n]);
      }
    }
    write_sums<N>(sums, row, out);
  }
}

template <class F, int Sums, std::size_t Chains>
[[gnu::always_inline]] inline void add_span_dots(const Levels& q, const std::int8_t* inputs, const __m512i (&spread)[Sums], Vec scales, Vec (&sums)[Chains]) {
  constexpr int kTerms = 4 / Sums;
#pragma GCC unroll 4
  for (int i = 0; i < Sums; ++i) {
    __m512i dot = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int term = kTerms * i; term < kTerms * (i + 1); ++term) dot = plus_dots<F>(dot, q.levels[term], _mm512_loadu_si512(inputs + 64 * term));
    sums[i % Chains] = fma(_mm512_cvtepi32_ps(dot), _mm512_permutexvar_ps(spread[i], scales), sums[i % Chains]);
  }
}

// One scale and one offset for 32 values: half the work on them, and registers whose lanes share them are multiplied into one sum.
template <class F, int N>
void matvec_spans_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  static_assert(!kOffsetOf<F> || kBiasOf<F> == 0);
  constexpr int kSums = kSumsOf<kOrderOf<F>>, kSpans = 8 / kSums;  // that one sum is of
  constexpr int kChainsHere = std::min(kSums, kChains<N>);
  const std::uint32_t chunks = chunks_of(weights.cols);
  SpanInput<F> prepared[N];
  SideRow side;
  for (std::size_t n = 0; n < N; ++n) prepared[n].prepare(inputs, n);
  __m512i spread[kSums];  // lane -> span
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int i = 0; i < kSums; ++i) spread[i] = _mm512_add_epi32(_mm512_srli_epi32(lanes, kSums == 4 ? 3 : kSums == 2 ? 2 : 1), _mm512_set1_epi32(kSpans * i));
  for (std::uint32_t row = begin; row < end; ++row) {
    const std::byte* from = weights.data + row * weights.row_bytes;
    if constexpr (MlxFormat<F>) side.start(weights, row);
    Vec sums[N][kChainsHere];
    __m256 offset_sums[N];
    for (int n = 0; n < N; ++n) {
      for (int i = 0; i < kChainsHere; ++i) sums[n][i] = zero();
      offset_sums[n] = _mm256_setzero_ps();
    }
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      OrderedSpans q;
      read_spans<F>(weights, row, chunk, side, q);
      if constexpr (N == 1 && kChunkBytes<F> >= kChunk)
        fetch_half_ahead(from + chunk * kChunkBytes<F>, kChunkBytes<F>);
      else
        fetch_ahead(from + chunk * kChunkBytes<F>, kChunkBytes<F>);
      __m256 offsets = kOffsetOf<F> ? q.offsets : q.scales;
      if constexpr (kOffsetOf<F> && kDotShift<F> != kBiasOf<F>) offsets = _mm256_fmadd_ps(_mm256_set1_ps(static_cast<float>(kDotShift<F> - kBiasOf<F>)), q.scales, offsets);
      for (int n = 0; n < N; ++n) {
        if constexpr (kOffsetOf<F> || kDotShift<F> != kBiasOf<F>) offset_sums[n] = _mm256_fmadd_ps(offsets, _mm256_load_ps(prepared[n].sums + 8 * chunk), offset_sums[n]);
        const Vec scales = _mm512_castps256_ps512(_mm256_mul_ps(q.scales, _mm256_load_ps(prepared[n].scales + 8 * chunk)));
        add_span_dots<F, kSums>(q, prepared[n].levels + chunk * kChunk, spread, scales, sums[n]);
      }
    }
    for (int n = 0; n < N; ++n) {
      Vec total = _mm512_zextps256_ps512(offset_sums[n]);
      for (int i = 0; i < kChainsHere; ++i) total = add(total, sums[n][i]);
      float& to = out.data[static_cast<std::size_t>(n) * out.stride + row];
      const float product = reduce_add(total);
      to = out.add ? to + product : product;
    }
  }
}

// Whole scales: bounds. Four values of six bits times inputs make 63 * 4 * 127 < 2^15, a scale times a step 2^7 * 127 < 2^14, and the
// four of them that meet in a lane stay below 2^31.

// Levels of a block in the order that takes the fewest instructions: half h of the registers holds values from 32 * kRunOfHalf[h] on.
template <class F>
inline constexpr int kRunOfHalf[8] = {0, 2, 1, 3, 4, 6, 5, 7};
template <>
inline constexpr int kRunOfHalf<Q6_K>[8] = {0, 1, 2, 3, 4, 5, 6, 7};
template <class F>
  requires kIsOneOf<F, Q2_K, Q3_K>
inline constexpr int kRunOfHalf<F>[8] = {0, 4, 1, 5, 2, 6, 3, 7};
[[gnu::always_inline]] inline void split_levels(const Q4_K::Block* block, Chunk& out) {
  for (int i = 0; i < 2; ++i) {
    const __m512i both = in_register(_mm512_loadu_si512(block->levels + 64 * i));
    out.levels[2 * i] = _mm512_and_si512(both, bytes(0x0f));
    out.levels[2 * i + 1] = kHasVnni ? _mm512_and_si512(both, bytes(0xf0)) : _mm512_and_si512(_mm512_srli_epi16(both, 4), bytes(0x0f));
  }
}
[[gnu::always_inline]] inline void split_levels(const Q5_K::Block* block, Chunk& out) {
  const __m512i high = in_register(twice(block->high));  // bit g of each for group g
  const __m512i fifth[4] = {_mm512_sllv_epi64(high, halves(4, 2)), _mm512_sllv_epi64(high, halves(3, 1)), _mm512_srlv_epi64(high, halves(0, 2)),
                            _mm512_srlv_epi64(high, halves(1, 3))};
  for (int i = 0; i < 2; ++i) {
    const __m512i both = in_register(_mm512_loadu_si512(block->low + 64 * i));
    out.levels[2 * i] = _mm512_and_si512(choose(bytes(15), both, fifth[2 * i]), bytes(31));
    out.levels[2 * i + 1] = _mm512_and_si512(choose(bytes(15), _mm512_srli_epi16(both, 4), fifth[2 * i + 1]), bytes(31));
  }
}
[[gnu::always_inline]] inline void split_levels(const Q6_K::Block* block, Chunk& out) { decode_levels(block, out); }
[[gnu::always_inline]] inline void split_levels(const Q2_K::Block* block, Chunk& out) {
  const __m512i four = in_register(_mm512_loadu_si512(block->levels)), upper = _mm512_srli_epi16(four, 4);
  out.levels[0] = _mm512_and_si512(four, bytes(3));
  out.levels[1] = _mm512_and_si512(four, bytes(3 << 2));
  out.levels[2] = _mm512_and_si512(upper, bytes(3));
  out.levels[3] = _mm512_and_si512(upper, bytes(3 << 2));
}
[[gnu::always_inline]] inline void split_levels(const Q3_K::Block* block, Chunk& out) {
  const __m512i four = in_register(_mm512_loadu_si512(block->low)), upper = _mm512_srli_epi16(four, 4);
  const __m512i high = _mm512_srlv_epi64(twice(block->high), halves(0, 4));  // bit r of each for register r
  out.levels[0] = _mm512_and_si512(choose(bytes(3), four, _mm512_slli_epi16(high, 2)), bytes(7));
  out.levels[1] = _mm512_and_si512(choose(bytes(3 << 2), four, _mm512_slli_epi16(high, 3)), bytes(7 << 2));
  out.levels[2] = _mm512_and_si512(choose(bytes(3), upper, high), bytes(7));
  out.levels[3] = _mm512_and_si512(choose(bytes(3 << 2), upper, _mm512_slli_epi16(high, 1)), bytes(7 << 2));
}
// By how many bits split_levels() leaves the levels of odd registers up, where the dots of two registers fit in one.
template <class F>
inline constexpr int kOddLevelsUp = 0;
template <>
inline constexpr int kOddLevelsUp<Q4_K> = kHasVnni ? 4 : 0;  // two products of 240 and an input do not fit in 16 bits
template <class F>
  requires kIsOneOf<F, Q2_K, Q3_K>
inline constexpr int kOddLevelsUp<F> = 2;

// What is whole about inputs: scales as steps of one unit a chunk (quantize()), sums of levels.
template <class F>
struct WholeInput {
  alignas(64) std::int8_t levels[kMostPreparedChunks][8][32];  // as split_levels() leaves those of a block
  alignas(64) std::int16_t steps[kMostPreparedChunks][16];     // of 16 groups of 16; kHasWholePairs: of 8 groups of 32, then zeros
  alignas(64) std::int16_t counts[kMostPreparedChunks][16];    // sums of 16 levels
  alignas(64) float sums[kMostPreparedChunks][8];              // minus the sums of 32 values
  float units[kMostPreparedChunks];

  void prepare(const Inputs& inputs, std::size_t input) {
    const std::uint32_t chunks = chunks_of(inputs.cols);
    const std::int8_t* from = inputs.levels + input * chunks * kChunk;
    const float *scales = inputs.scales + input * chunks * kGroupsPerChunk, *of16 = inputs.sums + input * chunks * kGroupsPerChunk;
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 0, 0, 0, 0, 0, 0, 0, 0);
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk, from += kChunk, scales += kGroupsPerChunk, of16 += kGroupsPerChunk) {
      const Vec scale = load(scales), sum = load(of16);
      units[chunk] = unit_of(reduce_top(scale));
      const __mmask16 has_scale = _mm512_cmp_ps_mask(scale, zero(), _CMP_GT_OQ);  // false for a NaN, which the unit is then, too
      const __m512i step = _mm512_cvtps_epi32(_mm512_maskz_div_ps(has_scale, scale, splat(units[chunk])));
      const __m256i in_order = _mm512_cvtepi32_epi16(kHasWholePairs<F> ? _mm512_maskz_permutexvar_epi32(0x00ff, even, step) : step);
      _mm256_store_si256(reinterpret_cast<__m256i*>(steps[chunk]), in_order);
      if constexpr (kHasWholePairs<F>) {
        const Vec of32 = add(sum, _mm512_permute_ps(sum, 0xb1));
        _mm256_store_ps(sums[chunk], _mm512_castps512_ps256(negate(_mm512_permutexvar_ps(even, of32))));
      } else {
        const __m512i count = _mm512_cvtps_epi32(_mm512_maskz_div_ps(has_scale, sum, scale));
        _mm256_store_si256(reinterpret_cast<__m256i*>(counts[chunk]), _mm512_cvtepi32_epi16(count));
      }
      for (int half = 0; half < 8; ++half) std::memcpy(levels[chunk][half], from + 32 * kRunOfHalf<F>[half], 32);
    }
  }
};

// Lane -> where the scales of its values are, among sixteen 16-bit words and zeros behind them: of one register with a zero in the upper
// half, or of an even and an odd one (kOddLevelsUp).
struct ScaleSpread {
  alignas(64) std::uint16_t words[4][32];
};
template <class F>
constexpr ScaleSpread make_scale_spread() {
  ScaleSpread out{};
  const auto place = [](int i, int lane) { return static_cast<std::uint16_t>((32 * kRunOfHalf<F>[2 * i + lane / 8] + lane % 8 * 4) / F::kGroup); };
  for (int lane = 0; lane < 16; ++lane) {
    for (int i = 0; i < 4; ++i) {
      out.words[i][2 * lane] = kOddLevelsUp<F> > 0 ? place(2 * (i % 2), lane) : place(i, lane);
      out.words[i][2 * lane + 1] = kOddLevelsUp<F> > 0 ? place(2 * (i % 2) + 1, lane) : 16;
    }
  }
  return out;
}
template <class F>
inline constexpr ScaleSpread kScaleSpread = make_scale_spread<F>();

// Sums of levels times inputs times `scales`: weights' scales times inputs' steps.
template <class F>
[[gnu::always_inline]] inline __m512i whole_dot(const Chunk& q, const std::int8_t (&inputs)[8][32], __m256i scales) {
  const __m512i wide = _mm512_zextsi256_si512(scales);
  __m512i total = _mm512_setzero_si512();
  for (int i = 0; i < 4; ++i) {
    const __m512i dot = plus_fours(no_words(), q.levels[i], _mm512_load_si512(inputs[2 * i]));  // of four: fits in 16 bits
    total = plus_half_pairs(total, dot, _mm512_permutexvar_epi16(_mm512_load_si512(kScaleSpread<F>.words[i]), wide));
  }
  return total;
}
// Dots of an even and an odd register in the halves of one lane, scaled together. kRaise keeps the lower one from borrowing of the upper
// one: it is more than 4 * kMaxLevel * 127, and with it the lower one stays below 2^15. What it adds to a total, kRaise times the scale
// of every lane of even registers, is taken off at the start: a group has kGroup / 4 lanes.
template <class F>
  requires(kOddLevelsUp<F> > 0)
[[gnu::always_inline]] inline __m512i whole_dot(const Chunk& q, const std::int8_t (&inputs)[8][32], __m256i scales) {
  constexpr int kUp = 16 - kOddLevelsUp<F>, kRaise = F::kGroup == 32 ? 1 << 13 : 1 << 14;
  static_assert(4 * F::kMaxLevel * 127 < kRaise && kRaise + 4 * F::kMaxLevel * 127 < 1 << 15 && kRaise % (1 << kUp) == 0 && kRaise * (F::kGroup / 4) == 2 << 15);
  const __m512i wide = _mm512_zextsi256_si512(scales);
  const __m256i raised = _mm256_madd_epi16(scales, F::kGroup == 32 ? _mm256_set1_epi32(0x8000) : _mm256_set1_epi64x(0x80008000));  // times -2^15
  __m512i total = _mm512_zextsi256_si512(_mm256_add_epi32(raised, raised));
  for (int i = 0; i < 2; ++i) {
    const __m512i odd = plus_fours(_mm512_set1_epi32(kRaise >> kUp), q.levels[2 * i + 1], _mm512_load_si512(inputs[4 * i + 2]));
    const __m512i both = plus_fours(_mm512_slli_epi32(odd, kUp), q.levels[2 * i], _mm512_load_si512(inputs[4 * i]));
    total = plus_half_pairs(total, both, _mm512_permutexvar_epi16(_mm512_load_si512(kScaleSpread<F>.words[i]), wide));
  }
  return total;
}

template <class F, int N>
void matvec_whole_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  using Block = typename F::Block;
  const std::uint32_t chunks = chunks_of(weights.cols);
  WholeInput<F> whole[N];
  for (std::size_t n = 0; n < N; ++n) whole[n].prepare(inputs, n);
  for (std::uint32_t row = begin; row < end; ++row) {
    const Block* block = reinterpret_cast<const Block*>(weights.data + row * weights.row_bytes);
    Vec sums[N];
    __m256 offset_sums[N];
    for (int n = 0; n < N; ++n) sums[n] = zero(), offset_sums[n] = _mm256_setzero_ps();
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk, ++block) {
      Chunk q;
      split_levels(block, q);
      fetch_ahead(reinterpret_cast<const std::byte*>(block), sizeof(Block));
      const WholeFactors<F> factors(block);
      for (int n = 0; n < N; ++n) {
        const WholeInput<F>& input = whole[n];
        const __m256i products = _mm256_mullo_epi16(factors.scales, load_words(input.steps[chunk]));
        const __m128 scale = _mm_mul_ss(factors.d, _mm_load_ss(&input.units[chunk]));
        sums[n] = fma(_mm512_cvtepi32_ps(whole_dot<F>(q, input.levels[chunk], products)), _mm512_broadcastss_ps(scale), sums[n]);
        if constexpr (kHasWholePairs<F>) {
          offset_sums[n] = _mm256_fmadd_ps(factors.minimums, _mm256_load_ps(input.sums[chunk]), offset_sums[n]);
        } else {
          offset_sums[n] = factors.add_offsets(offset_sums[n], products, input.steps[chunk], input.counts[chunk], _mm_load_ss(&input.units[chunk]));
        }
      }
    }
    for (int n = 0; n < N; ++n) {
      float& to = out.data[static_cast<std::size_t>(n) * out.stride + row];
      const Vec offset = _mm512_zextps256_ps512(offset_sums[n]);
      const float product = reduce_add(kHasWholePairs<F> ? add(sums[n], offset) : fma(offset, splat(kOffsetFactor<F>), sums[n]));
      to = out.add ? to + product : product;
    }
  }
}
