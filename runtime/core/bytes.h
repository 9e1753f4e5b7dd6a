// ByteReader: bounds- and overflow-checked little-endian reads from untrusted bytes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace assay {

static_assert(std::endian::native == std::endian::little, "file bytes are read in place");

using Bytes = std::span<const std::byte>;

// Reads a trivially copyable value at any address, aligned or not.
template <class T>
  requires std::is_trivially_copyable_v<T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// a + b, a * b, or nothing when the result does not fit.
constexpr std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}
constexpr std::optional<std::uint64_t> checked_multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// A cursor over bytes. Every read either fits in what is left or returns nothing and leaves the cursor where it was.
class ByteReader {
 public:
  explicit ByteReader(Bytes bytes) : bytes_(bytes) {}

  std::uint64_t offset() const { return offset_; }
  std::uint64_t remaining() const { return bytes_.size() - offset_; }

  template <class T>
    requires std::is_trivially_copyable_v<T>
  std::optional<T> read() {
    if (remaining() < sizeof(T)) return std::nullopt;
    T value = load<T>(bytes_.data() + offset_);
    offset_ += sizeof(T);
    return value;
  }

  std::optional<Bytes> read_bytes(std::uint64_t count) {
    if (remaining() < count) return std::nullopt;
    Bytes out = bytes_.subspan(offset_, count);
    offset_ += count;
    return out;
  }

  std::optional<std::string_view> read_text(std::uint64_t count) {
    auto out = read_bytes(count);
    if (!out) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(out->data()), out->size());
  }

 private:
  Bytes bytes_;
  std::uint64_t offset_ = 0;
};

}  // namespace assay
