// The tests of significance.h; Boost.Math gives the normal distribution and binomial coefficients.
#include "bench/significance.h"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/special_functions/binomial.hpp>
#include <cmath>
#include <numeric>
#include <random>

#include "bench/statistics.h"

namespace assay {

namespace {

constexpr std::size_t kExactUpTo = 60;
constexpr int kResamples = 2000;
constexpr std::uint64_t kSeed = 20240229;  // any: equal samples must give equal intervals

// Ranks times two, so that the mean ranks of ties stay whole. The values of `a` come first.
std::vector<std::uint32_t> double_ranks(std::span<const double> a, std::span<const double> b) {
  std::vector<double> all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t x, std::size_t y) { return all[x] < all[y]; });
  std::vector<std::uint32_t> ranks(all.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first + 1;
    while (last < order.size() && all[order[last]] == all[order[first]]) ++last;
    for (std::size_t i = first; i < last; ++i) ranks[order[i]] = static_cast<std::uint32_t>(first + last + 1);
    first = last;
  }
  return ranks;
}

// The share of all choices of `count` of the ranks whose sum lies at least as far from the middle as `sum`.
double exact_p(std::span<const std::uint32_t> ranks, std::size_t count, std::uint32_t sum) {
  const std::uint32_t total = std::accumulate(ranks.begin(), ranks.end(), 0u);
  std::vector<std::vector<double>> ways(count + 1, std::vector<double>(total + 1, 0.0));
  ways[0][0] = 1;
  std::uint32_t seen = 0, reach = 0;  // ranks taken in so far, and their sum
  for (const std::uint32_t rank : ranks) {
    for (std::size_t chosen = std::min<std::size_t>(count, ++seen); chosen-- > 0;)
      for (std::uint32_t at = 0; at <= reach; ++at) ways[chosen + 1][at + rank] += ways[chosen][at];
    reach += rank;
  }
  const double middle = static_cast<double>(total) * static_cast<double>(count) / static_cast<double>(ranks.size());
  const double distance = std::abs(sum - middle) - 1e-9;
  double all = 0, extreme = 0;
  for (std::uint32_t at = 0; at <= total; ++at) {
    all += ways[count][at];
    if (std::abs(at - middle) >= distance) extreme += ways[count][at];
  }
  return std::min(1.0, extreme / all);
}

double normal_p(std::span<const std::uint32_t> ranks, std::size_t count, std::uint32_t sum) {
  const double n = static_cast<double>(ranks.size()), chosen = static_cast<double>(count), others = n - chosen;
  std::vector<std::uint32_t> sorted(ranks.begin(), ranks.end());
  std::sort(sorted.begin(), sorted.end());
  double ties = 0;
  for (std::size_t first = 0; first < sorted.size();) {
    const std::size_t last = static_cast<std::size_t>(std::upper_bound(sorted.begin(), sorted.end(), sorted[first]) - sorted.begin());
    const double t = static_cast<double>(last - first);
    ties += t * t * t - t;
    first = last;
  }
  const double variance = chosen * others / 12 * (n + 1 - ties / (n * (n - 1)));
  if (!(variance > 0)) return 1;
  const double distance = std::abs(sum / 2.0 - chosen * (n + 1) / 2);
  return std::min(1.0, 2 * boost::math::cdf(boost::math::complement(boost::math::normal(), std::max(0.0, distance - 0.5) / std::sqrt(variance))));
}

template <class Statistic>
Interval percentile_interval(double confidence, Statistic&& statistic) {
  std::mt19937_64 random(kSeed);
  std::vector<double> values;
  values.reserve(kResamples);
  for (int i = 0; i < kResamples; ++i) values.push_back(statistic(random));
  std::sort(values.begin(), values.end());
  return {quantile_of_sorted(values, (1 - confidence) / 2), quantile_of_sorted(values, (1 + confidence) / 2)};
}

// Medians of resamples: how often each sorted value was drawn says which one is in the middle, without sorting again.
class Resampler {
 public:
  explicit Resampler(std::span<const double> samples) : sorted_(samples.begin(), samples.end()), counts_(samples.size()) {
    std::sort(sorted_.begin(), sorted_.end());
  }
  double median(std::mt19937_64& random) {
    std::fill(counts_.begin(), counts_.end(), 0u);
    for (std::size_t i = 0; i < sorted_.size(); ++i) ++counts_[((random() >> 32) * sorted_.size()) >> 32];
    return (value_at((sorted_.size() - 1) / 2) + value_at(sorted_.size() / 2)) / 2;
  }

 private:
  double value_at(std::size_t rank) const {
    std::size_t at = 0;
    for (std::size_t seen = counts_[0]; seen <= rank; seen += counts_[at]) ++at;
    return sorted_[at];
  }
  std::vector<double> sorted_;
  std::vector<std::uint32_t> counts_;
};

}  // namespace

double smallest_p(std::size_t a, std::size_t b) {
  if (a == 0 || b == 0) return 1;
  if (a + b > 1000) return 0;
  return std::min(1.0, 2 / boost::math::binomial_coefficient<double>(static_cast<unsigned>(a + b), static_cast<unsigned>(a)));
}

std::size_t rounds_needed(double level, std::size_t tests) {
  std::size_t rounds = 2;
  while (rounds < 500 && smallest_p(rounds, rounds) * static_cast<double>(std::max<std::size_t>(1, tests)) > level) ++rounds;
  return rounds;
}

RankTest mann_whitney(std::span<const double> a, std::span<const double> b) {
  RankTest out;
  if (a.empty() || b.empty()) return out;
  out.smallest_p = smallest_p(a.size(), b.size());
  const std::vector<std::uint32_t> ranks = double_ranks(a, b);
  const std::uint32_t sum_b = std::accumulate(ranks.begin() + static_cast<std::ptrdiff_t>(a.size()), ranks.end(), 0u);
  const double pairs = static_cast<double>(a.size()) * static_cast<double>(b.size());
  const double u_b = sum_b / 2.0 - static_cast<double>(b.size()) * static_cast<double>(b.size() + 1) / 2;
  out.effect = 2 * u_b / pairs - 1;
  out.p = ranks.size() <= kExactUpTo ? exact_p(ranks, b.size(), sum_b) : normal_p(ranks, b.size(), sum_b);
  return out;
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t x, std::size_t y) { return p[x] < p[y]; });
  std::vector<double> out(p.size());
  double least = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    least = std::max(least, std::min(1.0, p[order[i]] * static_cast<double>(p.size() - i)));
    out[order[i]] = least;
  }
  return out;
}

Interval bootstrap_median(std::span<const double> samples, double confidence) {
  if (samples.empty()) return {};
  Resampler resampler(samples);
  return percentile_interval(confidence, [&](std::mt19937_64& random) { return resampler.median(random); });
}

Interval bootstrap_ratio(std::span<const double> a, std::span<const double> b, double confidence) {
  if (a.empty() || b.empty()) return {};
  Resampler base(a), now(b);
  return percentile_interval(confidence, [&](std::mt19937_64& random) {
    const double divisor = base.median(random);
    return now.median(random) / divisor;
  });
}

double theil_sen_change(std::span<const double> values) {
  std::vector<double> slopes;
  for (std::size_t i = 0; i < values.size(); ++i)
    for (std::size_t k = i + 1; k < values.size(); ++k) slopes.push_back((values[k] - values[i]) / static_cast<double>(k - i));
  return slopes.empty() ? 0 : median(slopes) * static_cast<double>(values.size() - 1);
}

}  // namespace assay
