// Kernel cases beside the weights: attention, norm, gate, input quantiser, sampler; their data, checks and calls.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "runtime/core/error.h"
#include "runtime/kernels/cpu/table.h"

namespace assay {

enum class RowKernel : std::uint8_t {
  attention,  // 4 query heads against 4096 positions of their key-value head, F16, from memory
  prompt,     // the same head's attention of a prompt: 512 tokens with 4 query heads each, from the second cache
  norm,       // RMS norm of 4096 values
  gate,       // SwiGLU of 8192 values
  quantize,   // 4096 values to 8-bit inputs of a dot product
  greedy,     // the most likely of 131072 logits
  sample      // one drawn from them: top-k 40, top-p, min-p
};
inline constexpr std::array kRowKernels = {RowKernel::attention, RowKernel::prompt, RowKernel::norm, RowKernel::gate, RowKernel::quantize, RowKernel::greedy, RowKernel::sample};
std::string_view name_of(RowKernel kernel);
// Samplers have one implementation; the others have one in every kernel table.
constexpr bool is_sampler(RowKernel kernel) { return kernel == RowKernel::greedy || kernel == RowKernel::sample; }

class RowWork {
 public:
  // `kernels`: nullptr for samplers. `bytes`: how large a cache of keys and values `attention` walks over.
  RowWork(RowKernel which, const Kernels* kernels, std::uint64_t bytes);
  ~RowWork();

  // Against the scalar kernels; mismatch when the answer is another one.
  Result<> check();
  void call();
  double bytes_read() const;  // of one call, from memory; 0 where everything stays in the caches
  double values() const;      // of one call: values in, logits, or multiply-adds of attention and prompt

 private:
  struct Data;
  void compute(const Kernels* kernels);

  RowKernel which_;
  const Kernels* kernels_;
  std::unique_ptr<Data> data_;
};

}  // namespace assay
