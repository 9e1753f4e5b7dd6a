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

template <class F, class... Formats>
inline constexpr bool kIsOneOf = (std::is_same_v<F, Formats> || ...);

// Formats with one scale for 32 values or more.
template <class F>
inline constexpr bool kScalesSpan32 = true;
template <BlockFormat F>
inline constexpr bool kScalesSpan32<F> = F::kGroup >= 32;

// Mat-vecs that bring inputs to a form of their own keep it on the stack; longer rows take the way of all formats.
constexpr std::uint32_t kMostPreparedChunks = 128;

// Formats whose mat-vec takes inputs with whole scales.
template <class F>
inline constexpr bool kHasWholeScales = false;

// Stored bytes of one chunk of a row.
template <class F>
inline constexpr std::size_t kChunkBytes = 0;
template <BlockFormat F>
inline constexpr std::size_t kChunkBytes<F> = kChunk / F::kBlock * sizeof(typename F::Block);
template <MlxFormat F>
inline constexpr std::size_t kChunkBytes<F> = kChunk / 8 * F::kBits;
// How far ahead a mat-vec fetches its rows: the hardware alone reaches two thirds to nine tenths of what one core can read. Into the second
// cache level: the first one holds the inputs, and for more of them than one pass takes, rows are read again.
constexpr std::size_t kFetchAhead = 8192, kLine = 64;
inline void fetch_ahead(const std::byte* at, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += kLine) __builtin_prefetch(at + kFetchAhead + i, 0, 2);
}
// Every other line, for kernels that take so little work per byte that the hardware follows by itself: it is slower where all lines are
// fetched twice, and slower without any while another process shares the core.
inline void fetch_half_ahead(const std::byte* at, std::size_t bytes) {
  constexpr std::uintptr_t kTwoLines = 2 * kLine;
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(at) + kFetchAhead;
  for (std::uintptr_t line = (begin + kTwoLines - 1) & ~(kTwoLines - 1); line < begin + bytes; line += kTwoLines) __builtin_prefetch(reinterpret_cast<const void*>(line), 0, 2);
}

// The chunk that a mat-mul unpacks next of many rows side by side, which the hardware does not follow: fetched a few lines at a time
// while the present one is multiplied. All at once they would keep the multiplication's own reads waiting.
class RowsAhead {
 public:
  // Rows [row, end) at `chunk`, as far as there are so many, in `times` calls of fetch().
  RowsAhead(const WeightRows& weights, std::uint32_t row, std::uint32_t end, std::uint32_t chunk, std::uint32_t times)
      : row_bytes_(weights.row_bytes), bytes_(weights.row_bytes * kChunk / weights.cols), at_(weights.data + row * row_bytes_ + chunk * bytes_) {
    rows_ = std::min(end, weights.rows) - std::min(row, weights.rows);
    const std::size_t most_lines = (bytes_ + kLine - 2) / kLine + 1;  // that a chunk touches, wherever it lies
    lines_ = (rows_ * most_lines + times - 1) / times;
  }
  void fetch() {
    for (std::size_t line = 0; line < lines_ && rows_ > 0; ++line) {
      __builtin_prefetch(at_ + offset_, 0, 3);
      offset_ += kLine;
      if (offset_ < bytes_ + reinterpret_cast<std::uintptr_t>(at_) % kLine) continue;
      offset_ = 0;
      at_ += row_bytes_;
      --rows_;
    }
  }

 private:
  std::size_t row_bytes_, bytes_, offset_ = 0, lines_;
  const std::byte* at_;
  std::uint32_t rows_;
};
