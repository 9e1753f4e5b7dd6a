// AVX-512 readers of MLX formats: a row is one stream of bits.

// How 16 levels of kBits bits lie in the 2 * kBits bytes of a 128-bit lane: level 2j ends up in the low byte of word j, from two
// bytes shifted right; level 2j + 1 in its high byte, from two bytes shifted left.
template <int Bits>
struct StreamOrder {
  alignas(64) std::uint16_t words[32];  // of the 64 levels' bytes: the words that each lane needs
  alignas(64) std::uint8_t even[64], odd[64];
  alignas(64) std::uint16_t right[32], left[32];

  constexpr StreamOrder() : words(), even(), odd(), right(), left() {
    for (int word = 0; word < 32; ++word) {
      const int lane = word / 8, pair = word % 8, even_bit = 2 * pair * Bits, odd_bit = even_bit + Bits, base = 16 * lane + 2 * pair;
      words[word] = static_cast<std::uint16_t>(std::min(lane * Bits + pair, 4 * Bits - 1));
      for (int k = 0; k < 2; ++k) {
        even[base + k] = static_cast<std::uint8_t>(std::min(even_bit / 8 + k, 15));
        odd[base + k] = static_cast<std::uint8_t>(std::min(odd_bit / 8 + k, 15));
      }
      right[word] = static_cast<std::uint16_t>(even_bit % 8);
      left[word] = static_cast<std::uint16_t>(8 - odd_bit % 8);
    }
  }
};
template <int Bits>
inline constexpr StreamOrder<Bits> kStreamOrder;

// 8 * Count bytes.
template <int Count>
inline __m512i load_octets(const std::byte* at) {
  const auto octet = [&](int i) { return load8(at + 8 * i); };
  if constexpr (Count == 3) return _mm512_castsi256_si512(_mm256_set_m128i(octet(2), load16(at)));
  if constexpr (Count == 5) return _mm512_inserti64x4(_mm512_castsi256_si512(load32(at)), _mm256_castsi128_si256(octet(4)), 1);
  if constexpr (Count == 6) return _mm512_inserti64x4(_mm512_castsi256_si512(load32(at)), _mm256_castsi128_si256(load16(at + 32)), 1);
}

// The 64 levels of 8 * Bits bytes.
template <int Bits>
[[gnu::always_inline]] inline __m512i stream_levels(const std::byte* at) {
  if constexpr (Bits == 8) {
    return _mm512_loadu_si512(at);
  } else if constexpr (Bits == 4) {  // byte b holds levels 2b and 2b + 1
    const __m512i pairs = _mm512_cvtepu8_epi16(load32(at));
    return _mm512_and_si512(_mm512_or_si512(pairs, _mm512_slli_epi16(pairs, 4)), bytes(15));
  } else if constexpr (Bits == 2) {
    __m512i four = _mm512_cvtepu8_epi32(load16(at));
    four = _mm512_or_si512(four, _mm512_slli_epi32(four, 12));
    return _mm512_and_si512(_mm512_or_si512(four, _mm512_slli_epi32(four, 6)), bytes(3));
  } else {
    constexpr const StreamOrder<Bits>& order = kStreamOrder<Bits>;
    const __m512i all = load_octets<Bits>(at);
    const __m512i lanes = _mm512_permutexvar_epi16(_mm512_load_si512(order.words), all);
    const __m512i even = _mm512_srlv_epi16(_mm512_shuffle_epi8(lanes, _mm512_load_si512(order.even)), _mm512_load_si512(order.right));
    const __m512i odd = _mm512_sllv_epi16(_mm512_shuffle_epi8(lanes, _mm512_load_si512(order.odd)), _mm512_load_si512(order.left));
    constexpr int kMask = (1 << Bits) - 1;
    return _mm512_or_si512(_mm512_and_si512(even, _mm512_set1_epi16(kMask)), _mm512_and_si512(odd, _mm512_set1_epi16(kMask << 8)));
  }
}

template <int Bits>
[[gnu::always_inline]] inline void decode_stream(const std::byte* at, Levels& out) {
  for (int i = 0; i < 4; ++i) out.levels[i] = stream_levels<Bits>(at + 8 * Bits * i);
}
