// ByteReader and checked arithmetic: no read beyond the end, no sum that wraps.
#include "runtime/core/bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace assay {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

Bytes bytes_of(std::span<const unsigned char> values) { return std::as_bytes(values); }

TEST(Bytes, CheckedSumsAndProductsStopAtTheBorder) {
  EXPECT_EQ(checked_add(kMost - 1, 1), kMost);
  EXPECT_FALSE(checked_add(kMost, 1));
  EXPECT_EQ(checked_multiply(std::uint64_t{1} << 32, (std::uint64_t{1} << 32) - 1), 0xffffffff00000000u);
  EXPECT_FALSE(checked_multiply(std::uint64_t{1} << 32, std::uint64_t{1} << 32));
  EXPECT_EQ(checked_multiply(kMost, 0), 0u);
}

TEST(Bytes, ReadsLittleEndianInOrder) {
  constexpr std::array<unsigned char, 7> data = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07};
  ByteReader reader(bytes_of(data));
  EXPECT_EQ(reader.read<std::uint8_t>(), 0x01);
  EXPECT_EQ(reader.read<std::uint32_t>(), 0x05040302u);  // at an odd address
  EXPECT_EQ(reader.offset(), 5u);
  EXPECT_EQ(reader.remaining(), 2u);
}

TEST(Bytes, ReadThatDoesNotFitLeavesTheCursor) {
  constexpr std::array<unsigned char, 3> data = {1, 2, 3};
  ByteReader reader(bytes_of(data));
  EXPECT_FALSE(reader.read<std::uint32_t>());
  EXPECT_FALSE(reader.read_bytes(4));
  EXPECT_FALSE(reader.read_text(kMost));  // an offset plus this would wrap
  EXPECT_EQ(reader.offset(), 0u);
  EXPECT_TRUE(reader.read<std::uint16_t>());
  EXPECT_FALSE(reader.read<std::uint16_t>());
  EXPECT_EQ(reader.remaining(), 1u);
}

TEST(Bytes, PiecesAreViewsIntoTheSameBytes) {
  constexpr std::array<unsigned char, 5> data = {'h', 'e', 'l', 'l', 'o'};
  ByteReader reader(bytes_of(data));
  const auto text = reader.read_text(4);
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "hell");
  EXPECT_EQ(static_cast<const void*>(text->data()), static_cast<const void*>(data.data()));
  const auto rest = reader.read_bytes(1);
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->size(), 1u);
  EXPECT_EQ(reader.read_bytes(0)->size(), 0u);
}

TEST(Bytes, EmptyInputGivesNothing) {
  ByteReader reader{Bytes{}};
  EXPECT_FALSE(reader.read<std::uint8_t>());
  EXPECT_EQ(reader.remaining(), 0u);
}

}  // namespace
}  // namespace assay
