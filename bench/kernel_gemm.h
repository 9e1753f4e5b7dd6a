// The mat-mul case of a weight format and an instruction set: 512 packed inputs against rows of weights.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/kernel_data.h"
#include "bench/probes.h"
#include "runtime/core/aligned.h"
#include "runtime/core/error.h"
#include "runtime/kernels/cpu/table.h"

namespace assay {

class GemmWork {
 public:
  static constexpr std::uint32_t kInputs = 512;

  // Packs the inputs as the format's kernel wants them.
  GemmWork(const Kernels& kernels, FormatId format);

  // KernelMatrix::kRows rows, which start the matrix that `rows` describes, times all inputs.
  void compute(const WeightRows& rows);
  // `truth`: those rows by the scalar definition; mismatch when the products are not within the inputs' rounding of theirs.
  Result<> check(const WeightRows& rows, const std::vector<float>& truth);

  static double multiply_adds() { return double{KernelMatrix::kRows} * KernelMatrix::kCols * kInputs; }
  // What limits the kernel.
  PeakProbe peak() const;

 private:
  const FormatKernels& kernel_;
  std::vector<float> values_ = normal_values(std::size_t{kInputs} * KernelMatrix::kCols, 1.0f);
  AlignedBuffer<std::byte> panels_;
  PackedInputs packed_;
  AlignedBuffer<float> scratch_{matmul_scratch_floats(kInputs)};
  std::vector<float> out_ = std::vector<float>(std::size_t{kInputs} * KernelMatrix::kRows);
};

}  // namespace assay
