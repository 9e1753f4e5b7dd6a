// Grid points and signs of the IQ1, IQ2 and IQ3 formats; the same for every vector instruction set.
// Points are fetched one by one: two loads a cycle beat the gather instructions of many processors.

template <std::size_t Points>
inline __m128i two_points(const Grid8<Points>& grid, std::size_t a, std::size_t b) {
  return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(load8(grid[a].data())), reinterpret_cast<const __m64*>(grid[b].data())));
}
template <std::size_t Points, class Index>
inline __m128i four_points(const Grid4<Points>& grid, const Index* at) {
  const auto point = [&](int i) { return word_at<std::int32_t>(grid[at[i]].data()); };
  return _mm_setr_epi32(point(0), point(1), point(2), point(3));
}
// 32 coordinates: of the points of four indices, or of eight.
template <std::size_t Points, class Index>
inline __m256i points32(const Grid8<Points>& grid, const Index* at) {
  return _mm256_set_m128i(two_points(grid, at[2], at[3]), two_points(grid, at[0], at[1]));
}
template <std::size_t Points, class Index>
inline __m256i points32(const Grid4<Points>& grid, const Index* at) {
  return _mm256_set_m128i(four_points(grid, at + 4), four_points(grid, at));
}

// even_signs() of 32 sets of seven bits, one in each byte.
inline __m256i even_signs32(__m256i sevens) {
  __m256i odd = _mm256_xor_si256(sevens, _mm256_srli_epi16(sevens, 4));
  odd = _mm256_xor_si256(odd, _mm256_srli_epi16(odd, 2));
  odd = _mm256_xor_si256(odd, _mm256_srli_epi16(odd, 1));
  return _mm256_or_si256(sevens, _mm256_slli_epi16(_mm256_and_si256(odd, _mm256_set1_epi8(1)), 7));
}
// The same from eight words with four sets each in their low 28 bits.
inline __m256i even_signs_of_words(__m256i words) {
  const auto part = [&](int shift, int mask) { return _mm256_and_si256(_mm256_slli_epi32(words, shift), _mm256_set1_epi32(mask)); };
  return even_signs32(_mm256_or_si256(_mm256_or_si256(part(0, 0x7f), part(1, 0x7f00)), _mm256_or_si256(part(2, 0x7f0000), part(3, 0x7f000000))));
}
