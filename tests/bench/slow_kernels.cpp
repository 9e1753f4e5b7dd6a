// Kernels that do their products several times over: a regression on purpose, to prove that the gate catches one. The linker
// puts this in front of best_kernels() (see CMakeLists.txt).
#include <algorithm>
#include <vector>

#include "runtime/kernels/cpu/table.h"

namespace assay {
namespace {

constexpr int kTimes = 4;  // products are the larger part of the time: at least twice as slow in all

extern "C" const Kernels* real_best_kernels() asm("__real__ZN5assay12best_kernelsEv");

// Where the repetitions go, so that the answer stays right.
Outputs waste(const Outputs& outputs, std::uint32_t inputs) {
  thread_local std::vector<float> space;
  space.resize(std::max(space.size(), outputs.stride * inputs));
  return {space.data(), outputs.stride, false};
}

void slow_matvec(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& outputs) {
  for (int i = 0; i < kTimes; ++i) real_best_kernels()->formats[static_cast<std::size_t>(weights.format)].matvec(weights, inputs, begin, end, i == 0 ? outputs : waste(outputs, inputs.count));
}
void slow_matmul(const WeightRows& weights, const PackedInputs& inputs, std::uint32_t begin, std::uint32_t end, float* scratch, const Outputs& outputs) {
  for (int i = 0; i < kTimes; ++i) real_best_kernels()->formats[static_cast<std::size_t>(weights.format)].matmul(weights, inputs, begin, end, scratch, i == 0 ? outputs : waste(outputs, inputs.count));
}

}  // namespace

extern "C" const Kernels* slow_best_kernels() asm("__wrap__ZN5assay12best_kernelsEv");
extern "C" const Kernels* slow_best_kernels() {
  static const Kernels slow = [] {
    Kernels out = *real_best_kernels();
    for (FormatKernels& format : out.formats) {
      if (format.matvec != nullptr) format.matvec = slow_matvec;
      if (format.matmul != nullptr) format.matmul = slow_matmul;
    }
    return out;
  }();
  return &slow;
}

}  // namespace assay
