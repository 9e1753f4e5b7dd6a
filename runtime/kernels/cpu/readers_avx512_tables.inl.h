// AVX-512 readers of 4-bit codes into a table of 16 levels: IQ4_NL, IQ4_XS, MXFP4, NVFP4.

template <class F>
inline __m512i level_table() {
  alignas(16) std::uint8_t levels[16];
  for (int i = 0; i < 16; ++i) levels[i] = static_cast<std::uint8_t>(F::kValues[i] + F::kBias);
  return _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(levels)));
}

[[gnu::always_inline]] inline void decode_levels(const IQ4_NL::Block* block, Levels& out) {
  decode_nibble_blocks(block, &IQ4_NL::Block::codes, out);
  for (__m512i& part : out.levels) part = _mm512_shuffle_epi8(level_table<IQ4_NL>(), part);
}

[[gnu::always_inline]] inline void decode_levels(const IQ4_XS::Block* block, Levels& out) {
  const __m512i each16_twice = _mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3), shifts = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
  for (int i = 0; i < 4; ++i) {
    const __m512i pairs = _mm512_permutexvar_epi64(each16_twice, _mm512_castsi256_si512(load32(block->codes + 32 * i)));
    out.levels[i] = _mm512_shuffle_epi8(level_table<IQ4_NL>(), _mm512_and_si512(_mm512_srlv_epi64(pairs, shifts), bytes(15)));
  }
}

[[gnu::always_inline]] inline void decode_levels(const MXFP4::Block* block, Levels& out) {
  decode_nibble_blocks(block, &MXFP4::Block::codes, out);
  for (__m512i& part : out.levels) part = _mm512_shuffle_epi8(level_table<MXFP4>(), part);
}

// Four blocks of 64: eight bytes hold 16 values, low nibbles first.
[[gnu::always_inline]] inline void decode_levels(const NVFP4::Block* block, Levels& out) {
  const __m512i each8_twice = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3), shifts = _mm512_setr_epi64(0, 4, 0, 4, 0, 4, 0, 4);
  for (int i = 0; i < 4; ++i) {
    const __m512i pairs = _mm512_permutexvar_epi64(each8_twice, _mm512_castsi256_si512(load32(block[i].codes)));
    out.levels[i] = _mm512_shuffle_epi8(level_table<MXFP4>(), _mm512_and_si512(_mm512_srlv_epi64(pairs, shifts), bytes(15)));
  }
}
