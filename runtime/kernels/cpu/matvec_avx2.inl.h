// Integer mat-vec for AVX2: vpmaddubsw or vpdpbusd on unsigned levels; without VNNI the sign trick where levels need more than 7 bits.

// Dot of 32 levels and 32 signed inputs as 8 sums of four.
template <class F>
inline __m256i dot32(__m256i levels, __m256i inputs) {
  __m256i dot = no_words();
  if constexpr (kDotShift<F> == 0) {  // 2 * 128 * 127 fits in 16 bits
    add_fours(dot, levels, inputs);
  } else {
    const __m256i weights = _mm256_xor_si256(levels, bytes(-128));
    add_fours(dot, _mm256_abs_epi8(weights), _mm256_sign_epi8(inputs, weights));
  }
  return dot;
}

template <class F, int N>
void matvec_spans_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  const std::uint32_t chunks = chunks_of(weights.cols);
  SpanInput<F> prepared[N];
  SideRow side;
  for (std::size_t n = 0; n < N; ++n) prepared[n].prepare(inputs, n);
  for (std::uint32_t row = begin; row < end; ++row) {
    const std::byte* from = weights.data + row * weights.row_bytes;
    if constexpr (MlxFormat<F>) side.start(weights, row);
    __m256 sums[N][2], offset_sums[N];
    for (int n = 0; n < N; ++n) sums[n][0] = sums[n][1] = offset_sums[n] = _mm256_setzero_ps();
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      Spans q;
      read_spans<F>(weights, row, chunk, side, q);
      fetch_ahead(from + chunk * kChunkBytes<F>, kChunkBytes<F>);
      __m256 offsets = kOffsetOf<F> ? q.offsets : q.scales;
      if constexpr (kOffsetOf<F> && kDotShift<F> != kBiasOf<F>) offsets = _mm256_fmadd_ps(_mm256_set1_ps(static_cast<float>(kDotShift<F> - kBiasOf<F>)), q.scales, offsets);
      for (int n = 0; n < N; ++n) {
        if constexpr (kOffsetOf<F> || kDotShift<F> != kBiasOf<F>) offset_sums[n] = _mm256_fmadd_ps(offsets, _mm256_load_ps(prepared[n].sums + 8 * chunk), offset_sums[n]);
        alignas(32) float scales[8];
        _mm256_store_ps(scales, _mm256_mul_ps(q.scales, _mm256_load_ps(prepared[n].scales + 8 * chunk)));
        for (int i = 0; i < 8; ++i) {
          const __m256i dot = dot32<F>(q.levels[i], load32(prepared[n].levels + chunk * kChunk + 32 * i));
          sums[n][i % 2] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), _mm256_broadcast_ss(scales + i), sums[n][i % 2]);
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

// Groups of 16, and long rows.
template <class F, int N>
void matvec_levels_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  const std::uint32_t chunks = chunks_of(weights.cols);
  const Vec to_offset = splat(static_cast<float>(kDotShift<F> - kBiasOf<F>));
  for (std::uint32_t row = begin; row < end; ++row) {
    const std::byte* from = weights.data + row * weights.row_bytes;
    __m256 sums[N][2], offset_sums[N];
    for (int n = 0; n < N; ++n) sums[n][0] = sums[n][1] = offset_sums[n] = _mm256_setzero_ps();
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      Chunk q;
      Reader<F>::read(weights, row, chunk, q);
      fetch_ahead(from + chunk * kChunkBytes<F>, kChunkBytes<F>);
      const Vec offsets = kDotShift<F> != kBiasOf<F> ? fma(to_offset, q.scales, q.offsets) : q.offsets;
      for (int n = 0; n < N; ++n) {
        const std::size_t at = static_cast<std::size_t>(n) * chunks + chunk;
        const Vec input_sums = load(inputs.sums + at * kGroupsPerChunk);
        offset_sums[n] = _mm256_fmadd_ps(offsets.low, input_sums.low, _mm256_fmadd_ps(offsets.high, input_sums.high, offset_sums[n]));
        const Vec scale = mul(q.scales, load(inputs.scales + at * kGroupsPerChunk));
        for (int i = 0; i < 8; ++i) {
          const __m256i dot = dot32<F>(q.levels[i], load32(inputs.levels + at * kChunk + 32 * i));
          const __m256i lanes = _mm256_add_epi32(_mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1), _mm256_set1_epi32(i % 4 * 2));
          const __m256 own = _mm256_permutevar8x32_ps(i < 4 ? scale.low : scale.high, lanes);
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

// Whole scales: bounds. Two values of six bits times inputs make 63 * 2 * 127 < 2^14, a scale times a step 2^7 * 127 < 2^14, and the
// eight of their products that meet in a lane of one of two totals stay below 2^31; where levels have five bits or fewer, so do those of both.

// a / b as whole numbers, 0 where there is no scale (a NaN is none: the unit is one then, too).
inline __m256i whole_quotients8(__m256 a, __m256 b, __m256 scales) {
  return _mm256_cvtps_epi32(_mm256_and_ps(_mm256_div_ps(a, b), _mm256_cmp_ps(scales, _mm256_setzero_ps(), _CMP_GT_OQ)));
}
inline __m256i whole_quotients(Vec a, Vec b, Vec scales) {
  const __m256i low = whole_quotients8(a.low, b.low, scales.low), high = whole_quotients8(a.high, b.high, scales.high);
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
}

// What is whole about inputs: scales as steps of one unit a chunk (quantize()), sums of levels.
template <class F>
struct WholeInput {
  alignas(32) std::int16_t steps[kMostPreparedChunks][16];   // of 16 groups of 16; kHasWholePairs: of 8 groups of 32, then zeros
  alignas(32) std::int16_t counts[kMostPreparedChunks][16];  // sums of 16 levels
  alignas(32) float sums[kMostPreparedChunks][8];            // minus the sums of 32 values
  float units[kMostPreparedChunks];

  void prepare(const Inputs& inputs, std::size_t input) {
    const std::uint32_t chunks = chunks_of(inputs.cols);
    const float *scales = inputs.scales + input * chunks * kGroupsPerChunk, *of16 = inputs.sums + input * chunks * kGroupsPerChunk;
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk, scales += kGroupsPerChunk, of16 += kGroupsPerChunk) {
      const Vec scale = load(scales), sum = load(of16);
      units[chunk] = unit_of(reduce_top(scale));
      __m256i step = whole_quotients(scale, splat(units[chunk]), scale);
      if constexpr (kHasWholePairs<F>) {
        step = _mm256_permute4x64_epi64(_mm256_packus_epi32(_mm256_and_si256(step, _mm256_set1_epi32(0xffff)), _mm256_setzero_si256()), 0xd8);
        const __m256 of32 = _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(_mm256_hadd_ps(sum.low, sum.high)), 0xd8));
        _mm256_store_ps(sums[chunk], negate8(of32));
      } else {
        _mm256_store_si256(reinterpret_cast<__m256i*>(counts[chunk]), whole_quotients(sum, scale, scale));
      }
      _mm256_store_si256(reinterpret_cast<__m256i*>(steps[chunk]), step);
    }
  }
};

// Where the scales of each run of 32 values are among eight words, which both halves of a register hold: spread over its pairs of values.
struct RunSpread {
  alignas(32) std::uint8_t bytes[8][32];
};
template <class F>
constexpr RunSpread make_run_spread() {
  RunSpread out{};
  for (int run = 0; run < 8; ++run)
    for (int i = 0; i < 32; ++i) {
      const int word = kHasWholePairs<F> ? run : 2 * run % 8 + i / 16;
      out.bytes[run][i] = static_cast<std::uint8_t>(2 * word + i % 2);
    }
  return out;
}
template <class F>
inline constexpr RunSpread kRunSpread = make_run_spread<F>();

template <class F, int N>
void matvec_whole_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  using Block = typename F::Block;
  const std::uint32_t chunks = chunks_of(weights.cols);
  WholeInput<F> whole[N];
  for (std::size_t n = 0; n < N; ++n) whole[n].prepare(inputs, n);
  for (std::uint32_t row = begin; row < end; ++row) {
    const Block* block = reinterpret_cast<const Block*>(weights.data + row * weights.row_bytes);
    __m256 sums[N], offset_sums[N];
    for (int n = 0; n < N; ++n) sums[n] = offset_sums[n] = _mm256_setzero_ps();
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk, ++block) {
      Chunk q;
      decode_levels(block, q);
      fetch_ahead(reinterpret_cast<const std::byte*>(block), sizeof(Block));
      const WholeFactors<F> factors(block);
      for (int n = 0; n < N; ++n) {
        const WholeInput<F>& input = whole[n];
        const std::int8_t* levels = inputs.levels + (static_cast<std::size_t>(n) * chunks + chunk) * kChunk;
        const __m256i products = _mm256_mullo_epi16(factors.scales, load_words(input.steps[chunk]));
        const __m256i low = _mm256_permute4x64_epi64(products, 0x44), high = kHasWholePairs<F> ? low : _mm256_permute4x64_epi64(products, 0xee);
        __m256i totals[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        for (int run = 0; run < 8; ++run) {
          const __m256i dots = _mm256_maddubs_epi16(q.levels[run], load32(levels + 32 * run));  // of two: fits in 16 bits
          add_half_pairs(totals[run / 4], dots, _mm256_shuffle_epi8(run < 4 ? low : high, load_words(kRunSpread<F>.bytes[run])));
        }
        const __m256 scale = _mm256_broadcastss_ps(_mm_mul_ss(factors.d, _mm_load_ss(&input.units[chunk])));
        if constexpr (F::kMaxLevel < 32)
          sums[n] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(totals[0], totals[1])), scale, sums[n]);
        else
          sums[n] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(totals[0]), scale, _mm256_fmadd_ps(_mm256_cvtepi32_ps(totals[1]), scale, sums[n]));
        if constexpr (kHasWholePairs<F>) {
          offset_sums[n] = _mm256_fmadd_ps(factors.minimums, _mm256_load_ps(input.sums[chunk]), offset_sums[n]);
        } else {
          offset_sums[n] = factors.add_offsets(offset_sums[n], products, input.steps[chunk], input.counts[chunk], _mm_load_ss(&input.units[chunk]));
        }
      }
    }
    for (int n = 0; n < N; ++n) {
      float& to = out.data[static_cast<std::size_t>(n) * out.stride + row];
      const __m256 weight = _mm256_set1_ps(kHasWholePairs<F> ? 1.0f : kOffsetFactor<F>);
      const float product = reduce_add({_mm256_mul_ps(offset_sums[n], weight), sums[n]});
      to = out.add ? to + product : product;
    }
  }
}
