// One chunk of one row in memory, any integer format: levels, scales and offsets; and what kernels ask of a format.

struct ChunkData {
  alignas(64) std::uint8_t levels[kChunk];
  alignas(64) float scales[kGroupsPerChunk];
  alignas(64) float offsets[kGroupsPerChunk];
};

template <class F>
inline constexpr int kBiasOf = 0;
template <BlockFormat F>
inline constexpr int kBiasOf<F> = F::kBias;
template <class F>
inline constexpr bool kOffsetOf = true;
template <BlockFormat F>
inline constexpr bool kOffsetOf<F> = F::kHasOffset;

// Stored bytes of one chunk of a row.
template <class F>
inline std::size_t chunk_bytes(const WeightRows& weights) {
  if constexpr (BlockFormat<F>)
    return kChunk / F::kBlock * sizeof(typename F::Block);
  else
    return weights.row_bytes * kChunk / weights.cols;
}
// How far ahead a mat-vec fetches its rows: the hardware alone reaches two thirds of what one core can read. For a single input
// they go past the second cache level, which keeps what is read again; for N inputs they may be read again for the next N.
constexpr std::size_t kFetchAhead = 8192;
template <int N>
inline void fetch_ahead(const std::byte* at, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + kFetchAhead + i, 0, N == 1 ? 0 : 3);
}
