// Rows to float32 on sixteen lanes, by way of chunks in memory: for the instruction sets without kernels of their own.

template <bool Streaming>
inline void put(float* to, Vec v) {
  if constexpr (Streaming)
    stream(to, v);
  else
    store(to, v);
}

// Level minus bias is exact; one rounding for the product, one for the sum: the definition's own arithmetic.
template <class F, bool Streaming>
void dequantize_levels(const WeightRows& weights, std::uint32_t row, float* out) {
  ChunkData data;
  const Vec bias = splat(static_cast<float>(kBiasOf<F>));
  for (std::uint32_t chunk = 0; chunk < chunks_of(weights.cols); ++chunk) {
    read_chunk<F>(weights, row, chunk, data);
    const std::uint32_t present = std::min(kChunk, weights.cols - chunk * kChunk);
    for (std::uint32_t at = 0; at < present; at += 16) {
      Vec value = mul(splat(data.scales[at / 16]), sub(load_levels(data.levels + at), bias));
      if constexpr (kOffsetOf<F>) value = add(value, splat(data.offsets[at / 16]));
      put<Streaming>(out + chunk * kChunk + at, value);
    }
  }
}

template <class F, bool Streaming>
void dequantize_floats(const WeightRows& weights, std::uint32_t row, float* out) {
  constexpr std::type_identity<F> kFormat;
  const std::byte* at = weights.data + row * weights.row_bytes;
  std::uint32_t i = 0;
  for (; i + 16 <= weights.cols; i += 16) put<Streaming>(out + i, load_weights(kFormat, at, i));
  if (i < weights.cols) store_part(out + i, weights.cols - i, load_weights_part(kFormat, at, i, weights.cols - i));
}
