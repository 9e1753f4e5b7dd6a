// Significance: is a difference between two sets of rounds real: rank test, correction for many tests, bootstrap intervals.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace assay {

// Mann-Whitney U of two independent samples, two-sided (Mann and Whitney 1947). Exact up to 60 values in all, from the
// distribution of the rank sum over every split of these very values, ties included; beyond that the normal approximation with
// corrections for ties and continuity.
struct RankTest {
  double p = 1;
  double smallest_p = 1;    // the least that samples of these sizes can give
  double effect = 0;        // rank-biserial correlation, -1 to 1: above 0 when `b` is larger
};
RankTest mann_whitney(std::span<const double> a, std::span<const double> b);
// The least two-sided p of a + b rounds: 2 / C(a + b, a).
double smallest_p(std::size_t a, std::size_t b);
// Rounds a side that reach `level` at least once `tests` are corrected for.
std::size_t rounds_needed(double level, std::size_t tests);

// Holm (1979): adjusted p values in the order given; comparing each with alpha keeps the chance of any false alarm below alpha.
std::vector<double> holm(std::span<const double> p);

// An interval that holds with `confidence`.
struct Interval {
  double low = 0, high = 0;
};
// Percentile bootstrap with a fixed seed: the same samples give the same interval.
Interval bootstrap_median(std::span<const double> samples, double confidence = 0.95);
// Of median(b) / median(a).
Interval bootstrap_ratio(std::span<const double> a, std::span<const double> b, double confidence = 0.95);

// Median of the slopes of all pairs (Theil 1950, Sen 1968), of equally spaced values; change from the first to the last.
double theil_sen_change(std::span<const double> values);

}  // namespace assay
