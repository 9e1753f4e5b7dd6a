// The probe loops in AVX2 with FMA: 32 bytes an instruction. The compiler flags stay baseline.
#include "bench/probe_loops.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace assay::avx2 {

namespace {

constexpr int kChains = 12;  // latency 4 to 5, two a cycle

[[gnu::target("avx2")]] inline void hide(__m256i& value) { asm volatile("" : "+x"(value)); }
[[gnu::target("avx2")]] inline void hide(__m256& value) { asm volatile("" : "+x"(value)); }

[[gnu::target("avx2")]] inline __m256i load(const std::byte* at) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(at));
}

[[gnu::target("avx2")]] std::uint64_t read(const std::byte* from, std::size_t bytes) {
  __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
  for (std::size_t i = 0; i < bytes; i += 128)
    for (std::size_t k = 0; k < 4; ++k) sums[k] = _mm256_add_epi64(sums[k], load(from + i + 32 * k));
  alignas(32) std::uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes),
                     _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3])));
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

[[gnu::target("avx2")]] void write(std::byte* to, std::size_t bytes, std::uint64_t word) {
  const __m256i value = _mm256_set1_epi64x(static_cast<long long>(word));
  for (std::size_t i = 0; i < bytes; i += 32) _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i), value);
  _mm_sfence();
}

[[gnu::target("avx2")]] void copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 32) _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i), load(from + i));
  _mm_sfence();
}

[[gnu::target("avx2,avxvnni")]] void int8_dot_vnni(std::size_t rounds) {
  __m256i sums[kChains], a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(-1);
  for (__m256i& sum : sums) hide(sum = _mm256_setzero_si256());
  for (std::size_t round = 0; round < rounds; ++round) {
    hide(a), hide(b);
    for (__m256i& sum : sums) sum = _mm256_dpbusd_avx_epi32(sum, a, b);
  }
  for (__m256i& sum : sums) hide(sum);
}

[[gnu::target("avx2")]] void int8_dot(std::size_t rounds) {
  __m256i sums[kChains], a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(-1), one = _mm256_set1_epi16(1);
  for (__m256i& sum : sums) hide(sum = _mm256_setzero_si256());
  for (std::size_t round = 0; round < rounds; ++round) {
    for (__m256i& sum : sums) {
      hide(a);  // every product is computed, none shared
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), one));
    }
  }
  for (__m256i& sum : sums) hide(sum);
}

[[gnu::target("avx2,fma")]] void f32_fma(std::size_t rounds) {
  __m256 sums[kChains], a = _mm256_set1_ps(1), b = _mm256_set1_ps(1e-9f);
  for (__m256& sum : sums) hide(sum = _mm256_setzero_ps());
  for (std::size_t round = 0; round < rounds; ++round) {
    hide(a), hide(b);
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(a, b, sum);
  }
  for (__m256& sum : sums) hide(sum);
}

}  // namespace

const MemoryLoops kMemoryLoops = {"avx2", kIsaAvx2, read, write, copy};
const PeakLoop kInt8Dot = {"avx2", kIsaAvx2, kChains * 32, int8_dot};
const PeakLoop kInt8DotVnni = {"avx_vnni", kIsaAvx2 | kIsaAvxVnni, kChains * 32, int8_dot_vnni};
const PeakLoop kF32Fma = {"avx2", kIsaAvx2, kChains * 8, f32_fma};

}  // namespace assay::avx2
#endif
