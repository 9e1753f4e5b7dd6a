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

  static constexpr auto fields() {
    using S = Summary;
    return std::tuple(Field{"count", "", Better::none, &S::count}, Field{"median", "", Better::none, &S::median},
                      Field{"mad", "", Better::lower, &S::mad}, Field{"mean", "", Better::none, &S::mean},
                      Field{"deviation", "", Better::lower, &S::deviation}, Field{"cv", "", Better::lower, &S::cv},
                      Field{"min", "", Better::none, &S::min}, Field{"p10", "", Better::none, &S::p10},
                      Field{"p90", "", Better::none, &S::p90}, Field{"max", "", Better::none, &S::max});
  }
};
Summary summarize(std::span<const double> samples);

}  // namespace assay
