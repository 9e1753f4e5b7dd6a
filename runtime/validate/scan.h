// Scanning weights as they are stored: every value of float tensors, every scale of quantised ones, at the speed of
// memory.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "runtime/formats/tensor.h"

namespace assay::validation {

// Scanners fetch so far ahead: the processor's own guesses leave a part of the bandwidth unused.
inline constexpr std::uint64_t kLine = 64, kAhead = 8192;

// How many, and where the first is (bytes from the start of the scanned stream).
struct Tally {
  std::uint64_t count = 0;
  std::uint64_t first = std::numeric_limits<std::uint64_t>::max();
  void add(std::uint64_t at, std::uint64_t number = 1) {
    if (number == 0) return;
    count += number;
    first = at < first ? at : first;
  }
  void add(const Tally& other) { add(other.first, other.count); }
};

// What was found in one tensor, or a part of it. Rows are counted by their number, everything else by its place.
struct Numbers {
  Tally bad_values;        // NaN or infinity
  Tally bad_scales;        // NaN or infinity in a scale, a minimum or a bias
  Tally bad_exponents;     // E8M0 255
  Tally huge_values;       // finite, beyond what F16 holds
  Tally faint_scales;      // F16 scales with fewer than 5 bits left
  Tally saturated_blocks;  // every level at an end of its range
  Tally zero_rows;
  Tally constant_rows;     // every value the same, not 0
  std::uint64_t rows = 0;  // looked at
  // F16 scales, by their bits without sign, which grow with the logarithm: 1024 is a factor of two.
  std::uint64_t scales = 0, scale_bits = 0;
  std::uint16_t largest_scale = 0;
  std::uint64_t largest_scale_at = 0;

  void add(const Numbers& other);
  // Every row was looked at and is zero.
  bool is_zero() const { return rows > 0 && zero_rows.count == rows; }
  bool is_constant() const { return rows > 0 && zero_rows.count + constant_rows.count == rows; }
};

// A piece of a tensor that one thread scans: whole rows of its data, or bytes of a scale or bias stream.
enum class Stream : std::uint8_t { data, scales, biases };
struct ScanPiece {
  std::uint32_t tensor = 0;
  Stream stream = Stream::data;
  std::uint64_t first = 0;  // row, or byte
  std::uint64_t count = 0;
};

// Pieces of about `bytes` bytes that cover all streams of `tensor`.
void cut(const TensorView& tensor, std::uint32_t number, std::uint64_t bytes, std::vector<ScanPiece>& out);
Bytes bytes_of(const ScanPiece& piece, const TensorView& tensor);

Numbers scan(const ScanPiece& piece, const TensorView& tensor);

}  // namespace assay::validation
