// AVX-512 readers of 4-bit codes into a table of 16 levels: IQ4_NL, IQ4_XS, MXFP4, NVFP4.

template <class F>
inline __m512i level_table() {
  alignas(16) std::uint8_t levels[16];
  for (int i = 0; i < 16; ++i) levels[i] = static_cast<std::uint8_t>(F::kValues[i] + F::kBias);
  return _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(levels)));
}

[[gnu::always_inline]] inline void decode(const IQ4_NL::Block* block, Chunk& out) {
  decode_nibble_blocks(block, &IQ4_NL::Block::codes, out);
  for (__m512i& part : out.levels) part = _mm512_shuffle_epi8(level_table<IQ4_NL>(), part);
  out.scales = block_scales(block, &IQ4_NL::Block::d);
  out.offsets = zero();
}

[[gnu::always_inline]] inline void decode(const IQ4_XS::Block* block, Chunk& out) {
  const __m512i each16_twice = _mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3), shifts = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
  for (int i = 0; i < 4; ++i) {
    const __m512i pairs = _mm512_permutexvar_epi64(each16_twice, _mm512_castsi256_si512(load32(block->codes + 32 * i)));
    out.levels[i] = _mm512_shuffle_epi8(level_table<IQ4_NL>(), _mm512_and_si512(_mm512_srlv_epi64(pairs, shifts), bytes(15)));
  }
  const std::uint64_t six = _pdep_u64(word_at<std::uint32_t>(block->scales_low), 0x0f0f0f0f0f0f0f0f) | _pdep_u64(block->scales_high, 0x3030303030303030);
  out.scales = mul(wide(block->d), signed_bytes(_mm_sub_epi8(bytes_each_twice(six), _mm_set1_epi8(32))));
  out.offsets = zero();
}

[[gnu::always_inline]] inline void decode(const MXFP4::Block* block, Chunk& out) {
  decode_nibble_blocks(block, &MXFP4::Block::codes, out);
  for (__m512i& part : out.levels) part = _mm512_shuffle_epi8(level_table<MXFP4>(), part);
  std::uint64_t exponents = 0;
  for (int i = 0; i < 8; ++i) exponents |= std::uint64_t{block[i].exponent} << (8 * i);
  // MXFP4::half_scale of eight: subnormal for exponents 0 and 1.
  const __m256i exponent = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(exponents)));
  const __m256i usual = _mm256_slli_epi32(_mm256_sub_epi32(exponent, _mm256_set1_epi32(1)), 23);
  const __mmask8 is_small = _mm256_cmplt_epi32_mask(exponent, _mm256_set1_epi32(2));
  out.scales = each_twice(_mm256_castsi256_ps(_mm256_mask_sllv_epi32(usual, is_small, _mm256_set1_epi32(0x00200000), exponent)));
  out.offsets = zero();
}

// Four blocks of 64: eight bytes hold 16 values, low nibbles first.
[[gnu::always_inline]] inline void decode(const NVFP4::Block* block, Chunk& out) {
  const __m512i each8_twice = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3), shifts = _mm512_setr_epi64(0, 4, 0, 4, 0, 4, 0, 4);
  for (int i = 0; i < 4; ++i) {
    const __m512i pairs = _mm512_permutexvar_epi64(each8_twice, _mm512_castsi256_si512(load32(block[i].codes)));
    out.levels[i] = _mm512_shuffle_epi8(level_table<MXFP4>(), _mm512_and_si512(_mm512_srlv_epi64(pairs, shifts), bytes(15)));
  }
  // NVFP4::half_scale of sixteen.
  const __m128i codes = _mm_setr_epi32(word_at<std::int32_t>(block[0].scales), word_at<std::int32_t>(block[1].scales), word_at<std::int32_t>(block[2].scales),
                                       word_at<std::int32_t>(block[3].scales));
  const __m512i code = _mm512_cvtepu8_epi32(codes), mantissa = _mm512_and_si512(code, _mm512_set1_epi32(7));
  const __m512i usual = _mm512_add_epi32(_mm512_slli_epi32(_mm512_and_si512(code, _mm512_set1_epi32(0x7f)), 20), _mm512_set1_epi32(119 << 23));
  const __mmask16 is_small = _mm512_testn_epi32_mask(code, _mm512_set1_epi32(0x78)), is_number = _mm512_cmpneq_epi32_mask(code, _mm512_set1_epi32(0x7f));
  const Vec scales = _mm512_mask_mul_ps(_mm512_castsi512_ps(usual), is_small, _mm512_cvtepi32_ps(mantissa), _mm512_set1_ps(0x1p-10f));
  out.scales = _mm512_maskz_mov_ps(is_number, scales);
  out.offsets = zero();
}
