// Rows to float32 for AVX-512. Four-bit codes index a register of 16 floats, computed once per scale by the definition's own
// arithmetic; all other levels become floats by conversion. Every kernel exists with plain and with streaming stores.

template <bool Streaming>
struct Sink {
  static void put(float* to, Vec v) {
    if constexpr (Streaming)
      _mm512_stream_ps(to, v);
    else
      _mm512_storeu_ps(to, v);
  }
};

// value = scale * (level - bias) + offset, one rounding each. Level minus bias fits a signed byte in every format.
template <class F, class Sink>
inline void put_chunk(const Chunk& chunk, std::uint32_t present, float* out) {
  alignas(64) std::int8_t levels[kChunk];
  alignas(64) float scales[kGroupsPerChunk], offsets[kGroupsPerChunk];
  for (int i = 0; i < 4; ++i) _mm512_store_si512(levels + 64 * i, kBiasOf<F> == 0 ? chunk.levels[i] : _mm512_sub_epi8(chunk.levels[i], bytes(kBiasOf<F>)));
  store(scales, chunk.scales);
  if constexpr (kOffsetOf<F>) store(offsets, chunk.offsets);
  for (std::uint32_t g = 0; g < present / 16; ++g) {
    Vec value = kBiasOf<F> == 0 ? unsigned_bytes(load16(levels + 16 * g)) : signed_bytes(load16(levels + 16 * g));
    value = mul(splat(scales[g]), value);
    if constexpr (kOffsetOf<F>) value = add(value, splat(offsets[g]));
    Sink::put(out + 16 * g, value);
  }
}

// The 16 values of all codes, before scaling.
template <class F>
inline Vec code_values() {
  alignas(64) float values[16];
  for (int code = 0; code < 16; ++code) {
    if constexpr (requires { F::kValues; })
      values[code] = F::kValues[code];
    else
      values[code] = static_cast<float>(code - kBiasOf<F>);
  }
  return load(values);
}
// Only the low four bits of an index count: the low nibbles of 16 bytes, and the high ones.
inline __m512i low_codes(const std::uint8_t* at) { return _mm512_cvtepu8_epi32(load16(at)); }
inline __m512i high_codes(__m512i low) { return _mm512_srli_epi32(low, 4); }

// 32 values: low nibbles of 16 bytes, then high ones.
template <class Sink>
inline void put_nibbles(const std::uint8_t* codes, Vec values, float* out) {
  const __m512i low = low_codes(codes);
  Sink::put(out, _mm512_permutexvar_ps(low, values));
  Sink::put(out + 16, _mm512_permutexvar_ps(high_codes(low), values));
}

// Overloads of put_block(const Block*, float* out, Sink) write the values of one block.
template <class Sink>
inline void put_block(const Q4_0::Block* block, float* out, Sink) {
  put_nibbles<Sink>(block->levels, mul(wide(block->d), code_values<Q4_0>()), out);
}
template <class Sink>
inline void put_block(const Q4_1::Block* block, float* out, Sink) {
  put_nibbles<Sink>(block->levels, add(mul(wide(block->d), code_values<Q4_1>()), wide(block->min)), out);
}
template <class Sink>
inline void put_block(const IQ4_NL::Block* block, float* out, Sink) {
  put_nibbles<Sink>(block->codes, mul(wide(block->d), code_values<IQ4_NL>()), out);
}
template <class Sink>
inline void put_block(const MXFP4::Block* block, float* out, Sink) {
  put_nibbles<Sink>(block->codes, mul(splat(MXFP4::half_scale(block->exponent)), code_values<MXFP4>()), out);
}
template <class Sink>
inline void put_block(const Q8_0::Block* block, float* out, Sink) {
  const Vec scale = wide(block->d);
  for (int i = 0; i < 32; i += 16) Sink::put(out + i, mul(scale, signed_bytes(load16(block->values + i))));
}
template <class Sink>
inline void put_block(const Q4_K::Block* block, float* out, Sink) {
  Spans affines;
  decode_affines(block, affines);
  alignas(32) float scales[8], offsets[8];
  _mm256_store_ps(scales, affines.scales);
  _mm256_store_ps(offsets, affines.offsets);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const Vec low_values = add(mul(splat(scales[2 * i]), code_values<Q4_K>()), splat(offsets[2 * i]));
    const Vec high_values = add(mul(splat(scales[2 * i + 1]), code_values<Q4_K>()), splat(offsets[2 * i + 1]));
    for (int half = 0; half < 2; ++half) {
      const __m512i low = low_codes(block->levels + 32 * i + 16 * half);
      Sink::put(out + 64 * i + 16 * half, _mm512_permutexvar_ps(low, low_values));
      Sink::put(out + 64 * i + 32 + 16 * half, _mm512_permutexvar_ps(high_codes(low), high_values));
    }
  }
}

template <BlockFormat F, bool Streaming>
void dequantize_levels(const WeightRows& weights, std::uint32_t row, float* out) {
  using Block = typename F::Block;
  if constexpr (requires(const Block* block) { put_block(block, out, Sink<Streaming>{}); }) {
    const auto* block = reinterpret_cast<const Block*>(weights.data + row * weights.row_bytes);
    for (std::uint32_t at = 0; at < weights.cols; at += F::kBlock) put_block(block++, out + at, Sink<Streaming>{});
  } else {
    for (std::uint32_t chunk = 0; chunk < chunks_of(weights.cols); ++chunk) {
      Chunk in;
      Reader<F>::read(weights, row, chunk, in);
      put_chunk<F, Sink<Streaming>>(in, std::min(kChunk, weights.cols - chunk * kChunk), out + chunk * kChunk);
    }
  }
}

// 32 values of 4 bits in order: every lane takes its byte, and its nibble of it.
template <class Sink>
inline void put_stream_nibbles(const std::byte* at, Vec values, float* out) {
  const __m512i all = _mm512_broadcast_i32x4(load16(at)), shifts = _mm512_set1_epi64(std::int64_t{4} << 32);
  const __m512i order = _mm512_set_epi8(7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6, 6, 6, 5, 5, 5, 5, 5, 5, 5, 5, 4, 4, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2,
                                        2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m512i first = _mm512_srlv_epi32(_mm512_shuffle_epi8(all, order), shifts);
  const __m512i second = _mm512_srlv_epi32(_mm512_shuffle_epi8(all, _mm512_add_epi8(order, bytes(8))), shifts);
  Sink::put(out, _mm512_permutexvar_ps(first, values));
  Sink::put(out + 16, _mm512_permutexvar_ps(second, values));
}

template <MlxFormat F, bool Streaming>
void dequantize_levels(const WeightRows& weights, std::uint32_t row, float* out) {
  const std::byte* at = weights.data + row * weights.row_bytes;
  for (std::uint32_t chunk = 0; chunk < chunks_of(weights.cols); ++chunk, at += kChunkBytes<F>, out += kChunk) {
    const std::uint32_t present = std::min(kChunk, weights.cols - chunk * kChunk);
    if constexpr (F::kBits == 4) {
      Spans in;
      read_side(weights, row, chunk, present, in);
      alignas(32) float scales[8], offsets[8];
      _mm256_store_ps(scales, in.scales);
      _mm256_store_ps(offsets, in.offsets);
      for (std::uint32_t i = 0; i < present; i += 32)
        put_stream_nibbles<Sink<Streaming>>(at + i / 2, add(mul(splat(scales[i / 32]), code_values<F>()), splat(offsets[i / 32])), out + i);
    } else {
      Chunk in;
      Reader<F>::read(weights, row, chunk, in);
      put_chunk<F, Sink<Streaming>>(in, present, out);
    }
  }
}

template <class F, bool Streaming>
void dequantize_floats(const WeightRows& weights, std::uint32_t row, float* out) {
  constexpr std::type_identity<F> kFormat;
  const std::byte* at = weights.data + row * weights.row_bytes;
  std::uint32_t i = 0;
  for (; i + 16 <= weights.cols; i += 16) Sink<Streaming>::put(out + i, load_weights(kFormat, at, i));
  if (i < weights.cols) store_part(out + i, weights.cols - i, load_weights_part(kFormat, at, i, weights.cols - i));
}
