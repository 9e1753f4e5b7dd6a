// One chunk of one row by the format's own plain definition.

inline float side_scale(FormatId format, const std::byte* scales, std::size_t i) {
  if (format == FormatId::BF16) return to_float(assay::load<BFloat16>(scales + 2 * i));
  if (format == FormatId::F16) return to_float(assay::load<Half>(scales + 2 * i));
  return assay::load<float>(scales + 4 * i);
}

// Values beyond the row's end get level 0, scale 0, offset 0.
template <BlockFormat F>
void gather_chunk(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, ChunkData& out) {
  constexpr std::uint32_t kBlocks = kChunk / F::kBlock, kGroups = F::kBlock / 16;
  const std::uint32_t blocks = weights.cols / F::kBlock, first = chunk * kBlocks;
  const std::byte* at = weights.data + row * weights.row_bytes + std::size_t{first} * sizeof(typename F::Block);
  for (std::uint32_t b = 0; b < kBlocks; ++b) {
    if (first + b >= blocks) {
      std::memset(out.levels + b * F::kBlock, 0, F::kBlock);
      std::fill_n(out.scales + b * kGroups, kGroups, 0.0f);
      std::fill_n(out.offsets + b * kGroups, kGroups, 0.0f);
      continue;
    }
    const auto block = assay::load<typename F::Block>(at + b * sizeof(typename F::Block));
    levels_of<F>(block, out.levels + b * F::kBlock);
    for (std::uint32_t g = 0; g < kGroups; ++g) {
      const Affine affine = F::affine(block, static_cast<int>(g * 16 / F::kGroup));
      out.scales[b * kGroups + g] = affine.scale;
      out.offsets[b * kGroups + g] = affine.offset;
    }
  }
}

// Scales and biases of a chunk whose groups (32, 64 or 128 values) lie in streams of their own.
inline void gather_side(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, float* scales, float* offsets) {
  const std::size_t per_row = weights.cols / weights.group;
  const std::uint32_t first = chunk * kChunk;
  for (std::uint32_t at = 0; at < kChunk; at += 32) {
    float scale = 0, offset = 0;
    if (first + at < weights.cols) {
      const std::size_t i = row * per_row + (first + at) / weights.group;
      scale = side_scale(weights.scale_format, weights.scales, i);
      offset = side_scale(weights.scale_format, weights.biases, i);
    }
    scales[at / 16] = scales[at / 16 + 1] = scale;
    offsets[at / 16] = offsets[at / 16 + 1] = offset;
  }
}

template <MlxFormat F>
void gather_chunk(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, ChunkData& out) {
  const std::uint32_t first = chunk * kChunk, present = std::min(kChunk, weights.cols - first);
  const std::byte* at = weights.data + row * weights.row_bytes + std::size_t{first} / 8 * F::kBits;
  for (std::uint32_t i = 0; i < present; i += 8) F::levels8(at + std::size_t{i} / 8 * F::kBits, out.levels + i);
  std::memset(out.levels + present, 0, kChunk - present);
  gather_side(weights, row, chunk, out.scales, out.offsets);
}

template <class F>
void read_chunk(const WeightRows& weights, std::uint32_t row, std::uint32_t chunk, ChunkData& out) {
  gather_chunk<F>(weights, row, chunk, out);
}
