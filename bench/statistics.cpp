// The formulas of statistics.h.
#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace assay {

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

std::vector<double> sorted_copy(std::span<const double> samples) {
  std::vector<double> out(samples.begin(), samples.end());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

double quantile_of_sorted(std::span<const double> sorted, double q) {
  if (sorted.empty()) return kNone;
  const double position = std::clamp(q, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const std::size_t below = static_cast<std::size_t>(position);
  if (below + 1 >= sorted.size()) return sorted.back();
  const double share = position - static_cast<double>(below);
  return sorted[below] + share * (sorted[below + 1] - sorted[below]);
}

double quantile(std::span<const double> samples, double q) { return quantile_of_sorted(sorted_copy(samples), q); }

double median(std::span<const double> samples) { return quantile(samples, 0.5); }

double mean(std::span<const double> samples) {
  if (samples.empty()) return kNone;
  double sum = 0;
  for (const double sample : samples) sum += sample;
  return sum / static_cast<double>(samples.size());
}

double standard_deviation(std::span<const double> samples) {
  if (samples.empty()) return kNone;
  if (samples.size() == 1) return 0;
  const double centre = mean(samples);
  double sum = 0;
  for (const double sample : samples) sum += (sample - centre) * (sample - centre);
  return std::sqrt(sum / static_cast<double>(samples.size() - 1));
}

double median_absolute_deviation(std::span<const double> samples) {
  const double centre = median(samples);
  std::vector<double> distances;
  distances.reserve(samples.size());
  for (const double sample : samples) distances.push_back(std::abs(sample - centre));
  return median(distances);
}

Summary summarize(std::span<const double> samples) {
  const std::vector<double> sorted = sorted_copy(samples);
  Summary out;
  out.count = sorted.size();
  out.median = quantile_of_sorted(sorted, 0.5);
  out.mad = median_absolute_deviation(sorted);
  out.mean = mean(sorted);
  out.deviation = standard_deviation(sorted);
  out.cv = out.deviation / out.mean;
  out.min = quantile_of_sorted(sorted, 0);
  out.p10 = quantile_of_sorted(sorted, 0.1);
  out.p90 = quantile_of_sorted(sorted, 0.9);
  out.max = quantile_of_sorted(sorted, 1);
  return out;
}

}  // namespace assay
