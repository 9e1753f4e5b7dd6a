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
