// Products on the CPU: rows of weights as stored times rows of floats, spread over threads in a fixed grid.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/core/aligned.h"
#include "runtime/core/parallel.h"
#include "runtime/kernels/cpu/table.h"

namespace assay {

// One weight times rows [first, first + count) of the inputs: out[(row - first) * stride + weight row], assigned or added.
struct ProductJob {
  const TensorView* weight = nullptr;
  float* out = nullptr;
  std::size_t stride = 0;
  bool add = false;
  std::uint32_t first = 0, count = 0;
};

class CpuProducts {
 public:
  CpuProducts(const Kernels& kernels, Threads& threads) : kernels_(kernels), threads_(threads), scratch_(static_cast<std::size_t>(threads.count())) {}

  // Carries out all jobs in one go. `from` is [rows][cols], cols those of every weight.
  void multiply(const float* from, std::uint32_t rows, std::uint32_t cols, std::span<const ProductJob> jobs);

 private:
  // A job spread over row chunks of a region.
  struct Work {
    WeightRows weights;
    const FormatKernels* kernel;
    ProductJob job;
    bool is_many;  // taken by a mat-mul, which unpacks weights first
    std::uint32_t chunk_rows;
    std::size_t first_chunk;
    std::size_t packed;  // which of packed_
  };

  Work& work_of(std::size_t chunk);
  void pack_inputs(const float* from, std::uint32_t cols);
  void quantize(const float* from, std::uint32_t rows, std::uint32_t cols, bool whole_scales);
  Inputs inputs(const float* from, std::uint32_t cols, std::uint32_t first, std::uint32_t count) const;
  void multiply_rows(const Work& work, std::uint32_t begin, std::uint32_t end, const float* from);
  void multiply_dequantised(const Work& work, std::uint32_t begin, std::uint32_t end, const float* from);
  void multiply_chunk(std::size_t chunk, std::size_t worker, const float* from);

  const Kernels& kernels_;
  Threads& threads_;
  AlignedBuffer<std::int8_t> levels_;  // see Inputs
  AlignedBuffer<float> scales_, sums_;
  AlignedBuffer<std::byte> panels_;
  std::vector<PackedInputs> packed_;
  std::vector<std::uint32_t> packed_first_;  // the first row of each
  std::vector<AlignedBuffer<float>> scratch_;  // by worker
  std::vector<Work> works_;
};

// Chunks on all threads, or one after another where they touch fewer bytes than are worth handing out: the result is the same.
bool is_worth_sharing(std::size_t bytes);
template <class Body>
void share(Threads& threads, std::size_t bytes, std::size_t chunks, const Body& body) {
  if (is_worth_sharing(bytes)) return threads.for_chunks(chunks, body);
  for (std::size_t chunk = 0; chunk < chunks; ++chunk) body(chunk);
}

template <class T>
void reserve(AlignedBuffer<T>& buffer, std::size_t size) {
  if (buffer.size() < size) buffer = AlignedBuffer<T>(size);
}

}  // namespace assay
