// Statistics of samples: robust centre and spread, quantiles.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/core/describe.h"

namespace assay {

// The value below which a share `q` (0 to 1) of the sorted samples lies, linear between neighbours (position q * (n - 1), as
// numpy and R's type 7 do). NaN when there is no sample.
double quantile_of_sorted(std::span<const double> sorted, double q);
double quantile(std::span<const double> samples, double q);
double median(std::span<const double> samples);
double mean(std::span<const double> samples);
// With n - 1; 0 for one sample, NaN for none.
double standard_deviation(std::span<const double> samples);
// Median of the distances from the median, unscaled.
double median_absolute_deviation(std::span<const double> samples);

// In the samples' own unit, except cv. NaN (JSON null) where there is no sample.
struct Summary {
  std::uint64_t count = 0;
  double median = 0, mad = 0;
  double mean = 0, deviation = 0;
  double cv = 0;  // deviation / mean
  double min = 0, p10 = 0, p90 = 0, max = 0;

  static constexpr void fields(auto visit) {
    using S = Summary;
    visit("count", "", Better::none, &S::count);
    visit("median", "", Better::none, &S::median);
    visit("mad", "", Better::lower, &S::mad);
    visit("mean", "", Better::none, &S::mean);
    visit("deviation", "", Better::lower, &S::deviation);
    visit("cv", "", Better::lower, &S::cv);
    visit("min", "", Better::none, &S::min);
    visit("p10", "", Better::none, &S::p10);
    visit("p90", "", Better::none, &S::p90);
    visit("max", "", Better::none, &S::max);
  }
};
Summary summarize(std::span<const double> samples);

}  // namespace assay
