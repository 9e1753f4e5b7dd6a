// Packing, products and their check behind GemmWork.
#include "bench/kernel_gemm.h"

#include <fmt/format.h>

#include <cmath>

namespace assay {

namespace {
constexpr std::uint32_t kRows = KernelMatrix::kRows, kCols = KernelMatrix::kCols;
static_assert(kRows % kTileRows == 0);
}  // namespace

GemmWork::GemmWork(const Kernels& kernels, FormatId format) : kernel_(kernels.formats[static_cast<std::size_t>(format)]) {
  packed_ = {kernel_.packing, kInputs, kCols, nullptr};
  panels_ = AlignedBuffer<std::byte>(packed_.bytes());
  packed_.panels = panels_.data();
  for (std::uint32_t panel = 0; panel < panels_of(kInputs); ++panel) kernels.pack(values_.data(), packed_, panel);
}

void GemmWork::compute(const WeightRows& rows) {
  kernel_.matmul(rows, packed_, 0, kRows, scratch_.data(), {.data = out_.data(), .stride = kRows});
}

// Inputs are rounded to 8 bits (0.7 % of a product's size, rms) or to bfloat16, and scales for 16 weights may be merged; a lost group of 16 of 4096 values would be 6 %.
Result<> GemmWork::check(const WeightRows& rows, const std::vector<float>& truth) {
  compute(rows);
  double errors = 0, products = 0;
  for (std::uint32_t n = 0; n < kInputs; n += 17) {
    for (std::uint32_t row = 0; row < kRows; ++row) {
      double want = 0;
      for (std::uint32_t col = 0; col < kCols; ++col)
        want += static_cast<double>(truth[std::size_t{row} * kCols + col]) * values_[std::size_t{n} * kCols + col];
      const double error = out_[std::size_t{n} * kRows + row] - want;
      errors += error * error;
      products += want * want;
    }
  }
  const double relative = std::sqrt(errors / products);
  if (relative <= 0.02) return success();
  return Error{Code::mismatch, "mat-mul", fmt::format("products are {:.3g} rms away from the truth, more than their inputs' rounding explains", relative)};
}

PeakProbe GemmWork::peak() const {
  if (packed_.packing == Packing::floats) return PeakProbe::f32_fma;
  return packed_.packing == Packing::bfloats ? PeakProbe::bf16_dot : PeakProbe::int8_dot;
}

}  // namespace assay
