// Statistics against values worked out by hand.
#include "bench/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace assay {
namespace {

const std::vector<double> kOdd = {7, 1, 3, 9, 5};        // sorted 1 3 5 7 9
const std::vector<double> kEven = {10, 2, 4, 8};         // sorted 2 4 8 10

TEST(Statistics, MedianIsTheMiddleOrTheMeanOfTheTwoMiddleOnes) {
  EXPECT_EQ(median(kOdd), 5);
  EXPECT_EQ(median(kEven), 6);
  EXPECT_EQ(median(std::vector<double>{4}), 4);
}

TEST(Statistics, QuantilesAreLinearBetweenNeighbours) {
  EXPECT_EQ(quantile(kOdd, 0), 1);
  EXPECT_EQ(quantile(kOdd, 1), 9);
  EXPECT_EQ(quantile(kOdd, 0.25), 3);
  EXPECT_DOUBLE_EQ(quantile(kOdd, 0.9), 8.2);   // position 3.6: 7 + 0.6 * 2
  EXPECT_DOUBLE_EQ(quantile(kEven, 0.5), 6);
  EXPECT_DOUBLE_EQ(quantile(kEven, 0.1), 2.6);  // position 0.3: 2 + 0.3 * 2
  EXPECT_EQ(quantile(kOdd, -1), 1);
  EXPECT_EQ(quantile(kOdd, 2), 9);
}

TEST(Statistics, MeanAndDeviation) {
  EXPECT_EQ(mean(kOdd), 5);
  EXPECT_DOUBLE_EQ(standard_deviation(kOdd), std::sqrt(10.0));  // squares 16 4 0 4 16 over 4
  EXPECT_EQ(standard_deviation(std::vector<double>{3}), 0);
}

TEST(Statistics, MedianAbsoluteDeviationIgnoresAnOutlier) {
  EXPECT_EQ(median_absolute_deviation(kOdd), 2);                                    // distances 4 2 0 2 4
  EXPECT_EQ(median_absolute_deviation(std::vector<double>{1, 3, 5, 7, 1e9}), 2);
  EXPECT_EQ(median_absolute_deviation(std::vector<double>{2, 2, 2}), 0);
}

TEST(Statistics, SummaryHoldsAllOfThem) {
  const Summary summary = summarize(kOdd);
  EXPECT_EQ(summary.count, 5u);
  EXPECT_EQ(summary.median, 5);
  EXPECT_EQ(summary.mad, 2);
  EXPECT_EQ(summary.min, 1);
  EXPECT_EQ(summary.max, 9);
  EXPECT_DOUBLE_EQ(summary.p10, 1.8);
  EXPECT_DOUBLE_EQ(summary.p90, 8.2);
  EXPECT_DOUBLE_EQ(summary.cv, std::sqrt(10.0) / 5);
}

TEST(Statistics, NoSamplesGiveNoNumbers) {
  const Summary summary = summarize({});
  EXPECT_EQ(summary.count, 0u);
  EXPECT_TRUE(std::isnan(summary.median));
  EXPECT_TRUE(std::isnan(summary.mad));
  EXPECT_NE(to_text(to_json(summary)).find("\"median\":null"), std::string::npos);
}

}  // namespace
}  // namespace assay
