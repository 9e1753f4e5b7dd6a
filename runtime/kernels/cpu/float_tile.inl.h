// Weights of a mat-mul in floats: 32 rows x 256 values from the file's numbers to a register-ordered tile. The same for every vector instruction set.

struct FloatTile {
  alignas(64) float values[kChunk][kTileRows];
};

// `rows` <= 32 are there; the others become zero.
template <class F>
void unpack_floats(const WeightRows& weights, std::uint32_t first_row, std::uint32_t rows, std::uint32_t chunk, FloatTile& tile) {
  constexpr std::type_identity<F> kFormat;
  alignas(64) float block[kLanes][16];
  for (std::uint32_t at = 0; at < kChunk; at += 16) {
    const std::uint32_t first = chunk * kChunk + at, present = first < weights.cols ? std::min(16u, weights.cols - first) : 0;
    for (std::uint32_t part = 0; part < kTileRows; part += kLanes) {
      for (std::uint32_t r = 0; r < kLanes; ++r) {
        const std::byte* row = weights.data + (first_row + part + r) * weights.row_bytes;
        if (part + r >= rows || present == 0)
          store(block[r], zero());
        else
          store(block[r], present == 16 ? load_weights(kFormat, row, first) : load_weights_part(kFormat, row, first, present));
      }
      for (std::uint32_t k = 0; k < 16; k += kLanes) transpose_words(block[0] + k, 16, tile.values[at + k] + part, kTileRows);
    }
  }
}
