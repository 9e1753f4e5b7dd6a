// The probe loops every x86-64 (or any other) processor can run.
#include "bench/probe_loops.h"

#include <cstring>

namespace assay::baseline {

namespace {

using Word2 = std::uint64_t __attribute__((vector_size(16)));
using Float4 = float __attribute__((vector_size(16)));
using Short8 = std::uint16_t __attribute__((vector_size(16)));

Word2 load2(const std::byte* at) {
  Word2 value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::uint64_t read(const std::byte* from, std::size_t bytes) {
  Word2 sums[4] = {};
  for (std::size_t i = 0; i < bytes; i += 64)
    for (std::size_t k = 0; k < 4; ++k) sums[k] += load2(from + i + 16 * k);
  const Word2 sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  return sum[0] + sum[1];
}

void store_past_caches(std::byte* to, std::uint64_t word) {
#if defined(__x86_64__)
  __builtin_ia32_movnti64(reinterpret_cast<long long*>(to), static_cast<long long>(word));
#else
  std::memcpy(to, &word, sizeof word);
#endif
}

void write(std::byte* to, std::size_t bytes, std::uint64_t word) {
  for (std::size_t i = 0; i < bytes; i += 8) store_past_caches(to + i, word);
}

void copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, from + i, sizeof word);
    store_past_caches(to + i, word);
  }
}

// Keeps the compiler from knowing the value: accumulators that start equal must not be merged.
template <class V>
inline void hide(V& value) {
#if defined(__x86_64__)
  asm volatile("" : "+x"(value));
#else
  asm volatile("" : "+m"(value));
#endif
}

constexpr int kChains = 10;

void f32_fma(std::size_t rounds) {
  Float4 sums[kChains] = {}, a = {1, 1, 1, 1}, b = {1e-9f, 1e-9f, 1e-9f, 1e-9f};
  for (Float4& sum : sums) hide(sum);
  hide(a), hide(b);
  for (std::size_t round = 0; round < rounds; ++round) {
    for (Float4& sum : sums) sum += a * b;
    hide(a);
  }
  for (Float4& sum : sums) hide(sum);
}

// Without byte dot products the widest integer product is 16 bits: counted as multiply-adds all the same.
void int8_dot(std::size_t rounds) {
  Short8 sums[kChains] = {}, a = {1, 2, 3, 4, 5, 6, 7, 8}, b = a;
  for (Short8& sum : sums) hide(sum);
  hide(a), hide(b);
  for (std::size_t round = 0; round < rounds; ++round) {
    for (Short8& sum : sums) sum += a * b;
    hide(a);
  }
  for (Short8& sum : sums) hide(sum);
}

}  // namespace

const MemoryLoops kMemoryLoops = {"baseline", 0, read, write, copy};
const PeakLoop kInt8Dot = {"baseline", 0, kChains * 8, int8_dot};
const PeakLoop kF32Fma = {"baseline", 0, kChains * 4, f32_fma};

}  // namespace assay::baseline
