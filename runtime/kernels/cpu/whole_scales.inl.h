// Formats with whole scales: inputs have whole scales within a chunk, too (quantize()), so that what belongs to a chunk is added as whole
// numbers, with fewer instructions. The same for every vector instruction set, which brings struct WholeInput<F> and matvec_whole_n().

template <class F>
inline constexpr bool kHasWholePairs = kIsOneOf<F, Q4_K, Q5_K>;  // scale and minimum for 32 values
template <class F>
inline constexpr bool kHasWholeMinimums = std::is_same_v<F, Q2_K>;  // scale and minimum for 16 values; others: a scale, and a bias of levels
template <class F>
inline constexpr float kOffsetFactor = kHasWholeMinimums<F> ? -1.0f : static_cast<float>(-kBiasOf<F>);  // !kHasWholePairs
template <class F>
  requires kIsOneOf<F, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K>
inline constexpr bool kHasWholeScales<F> = true;

inline __m256i load_words(const std::int16_t (&words)[16]) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(words)); }

// What belongs to one block: its whole scales in 16-bit words, and in the lowest lane of `d` the float that they are multiples of.
template <class F>
struct WholeFactors {
  __m256i scales;
  __m128 d;
  __m256 minimums;         // kHasWholePairs, as floats
  __m256i whole_minimums;  // kOffsetOf, in words; their unit is the second lane of `d`

  [[gnu::always_inline]] explicit WholeFactors(const typename F::Block* block) {
    if constexpr (kHasWholePairs<F>) {
      const KAffines affines = read_k_affines(block->scales);
      d = _mm_cvtph_ps(_mm_cvtsi32_si128(word_at<std::int32_t>(&block->d)));  // and dmin
      scales = _mm256_zextsi128_si256(_mm_cvtepu8_epi16(_mm_cvtsi64_si128(static_cast<long long>(affines.scales))));
      const __m128i minimums8 = _mm_cvtsi64_si128(static_cast<long long>(affines.minimums));
      whole_minimums = _mm256_zextsi128_si256(_mm_cvtepu8_epi16(minimums8));
      const __m256i whole = _mm256_cvtepu8_epi32(minimums8);
      minimums = _mm256_mul_ps(_mm256_cvtepi32_ps(whole), _mm256_broadcastss_ps(_mm_movehdup_ps(d)));
    } else if constexpr (kHasWholeMinimums<F>) {
      const __m256i pairs = _mm256_cvtepu8_epi16(load16(block->scales));
      d = _mm_cvtph_ps(_mm_cvtsi32_si128(word_at<std::int32_t>(&block->d)));
      scales = _mm256_and_si256(pairs, _mm256_set1_epi16(15));
      whole_minimums = _mm256_srli_epi16(pairs, 4);
    } else {
      d = _mm_cvtph_ps(_mm_cvtsi32_si128(block->d.bits));
      scales = _mm256_cvtepi8_epi16(read_signed_scales(block));
    }
  }

  // !kHasWholePairs: `sums` and what an input with these steps, sums of levels and unit adds to its offsets, both of which kOffsetFactor is
  // yet to be multiplied with. `products`: scales times steps.
  [[gnu::always_inline]] __m256 add_offsets(__m256 sums, __m256i products, const std::int16_t (&steps)[16], const std::int16_t (&counts)[16], __m128 unit) const {
    if constexpr (kHasWholeMinimums<F>) products = _mm256_mullo_epi16(whole_minimums, load_words(steps));
    const __m128 scale = _mm_mul_ss(kHasWholeMinimums<F> ? _mm_movehdup_ps(d) : d, unit);
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_madd_epi16(products, load_words(counts))), _mm256_broadcastss_ps(scale), sums);
  }
};
