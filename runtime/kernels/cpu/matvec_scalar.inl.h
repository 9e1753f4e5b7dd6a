// Integer mat-vec in plain C++: the truth that the SIMD kernels are held against.

template <class F>
void matvec_levels(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  const std::uint32_t chunks = chunks_of(weights.cols);
  ChunkData data;
  for (std::uint32_t row = begin; row < end; ++row) {
    float sums[kMatvecInputs] = {};
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      read_chunk<F>(weights, row, chunk, data);
      for (std::uint32_t n = 0; n < inputs.count; ++n) {
        const std::size_t at = std::size_t{n} * chunks + chunk;
        for (std::uint32_t g = 0; g < kGroupsPerChunk; ++g) {
          int dot = 0;
          for (std::uint32_t i = 16 * g; i < 16 * g + 16; ++i) dot += (data.levels[i] - kBiasOf<F>) * inputs.levels[at * kChunk + i];
          const std::size_t group = at * kGroupsPerChunk + g;
          sums[n] += data.scales[g] * inputs.scales[group] * static_cast<float>(dot) + data.offsets[g] * inputs.sums[group];
        }
      }
    }
    for (std::uint32_t n = 0; n < inputs.count; ++n) {
      float& to = out.data[n * out.stride + row];
      to = out.add ? to + sums[n] : sums[n];
    }
  }
}
