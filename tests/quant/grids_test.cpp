// The grids of the IQ formats against checksums of the published tables.
#include <gtest/gtest.h>

#include "runtime/quant/iq_grids.h"

namespace assay {
namespace {

// FNV-1a over the coordinates in order, `shift` subtracted from each.
template <class Grid>
std::uint64_t checksum(const Grid& grid, int shift = 0) {
  std::uint64_t sum = 0xcbf29ce484222325u;
  for (const auto& point : grid)
    for (const std::uint8_t coordinate : point)
      sum = (sum ^ static_cast<std::uint8_t>(coordinate - shift)) * 0x100000001b3u;
  return sum;
}

// Computed from the bytes of the tables in ggml-common.h.
TEST(Grids, EqualThePublishedTables) {
  EXPECT_EQ(checksum(kIq1Grid, 1), 0x6703ed863501ae2eu);
  EXPECT_EQ(checksum(kIq2XxsGrid), 0xbb4ee025b5ac6e8eu);
  EXPECT_EQ(checksum(kIq2XsGrid), 0xc9b1ee61e79909bdu);
  EXPECT_EQ(checksum(kIq2SGrid), 0x123edd38a3b62b90u);
  EXPECT_EQ(checksum(kIq3XxsGrid), 0xdfa5dc83d6a155d5u);
  EXPECT_EQ(checksum(kIq3SGrid), 0xfa37020c25b44829u);
}

TEST(Grids, SevenSignsBecomeEightWithAnEvenNumberSet) {
  for (unsigned seven = 0; seven < 128; ++seven) {
    EXPECT_EQ(even_signs(seven) & 127u, seven);
    EXPECT_EQ(std::popcount(even_signs(seven)) % 2, 0);
    EXPECT_LT(even_signs(seven), 256u);
  }
}

}  // namespace
}  // namespace assay
