// The probe loops in AVX-512: 64 bytes an instruction. The compiler flags stay baseline; each function names what it needs.
#include "bench/probe_loops.h"

#if defined(__x86_64__)
// gcc 12 warns inside its own header.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

namespace assay::avx512 {

namespace {

constexpr int kChains = 12;  // latency 4 to 5, two a cycle

[[gnu::target("avx512f")]] inline void hide(__m512i& value) { asm volatile("" : "+v"(value)); }
[[gnu::target("avx512f")]] inline void hide(__m512& value) { asm volatile("" : "+v"(value)); }

[[gnu::target("avx512f")]] std::uint64_t read(const std::byte* from, std::size_t bytes) {
  __m512i sums[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
  for (std::size_t i = 0; i < bytes; i += 256)
    for (std::size_t k = 0; k < 4; ++k) sums[k] = _mm512_add_epi64(sums[k], _mm512_load_si512(from + i + 64 * k));
  alignas(64) std::uint64_t lanes[8];
  _mm512_store_si512(lanes, _mm512_add_epi64(_mm512_add_epi64(sums[0], sums[1]), _mm512_add_epi64(sums[2], sums[3])));
  std::uint64_t sum = 0;
  for (const std::uint64_t lane : lanes) sum += lane;
  return sum;
}

[[gnu::target("avx512f")]] void write(std::byte* to, std::size_t bytes, std::uint64_t word) {
  const __m512i value = _mm512_set1_epi64(static_cast<long long>(word));
  for (std::size_t i = 0; i < bytes; i += 64) _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), value);
  _mm_sfence();
}

[[gnu::target("avx512f")]] void copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 64)
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_load_si512(from + i));
  _mm_sfence();
}

[[gnu::target("avx512f,avx512vnni")]] void int8_dot_vnni(std::size_t rounds) {
  __m512i sums[kChains], a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(-1);
  for (__m512i& sum : sums) hide(sum = _mm512_setzero_si512());
  for (std::size_t round = 0; round < rounds; ++round) {
    hide(a), hide(b);
    for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, a, b);
  }
  for (__m512i& sum : sums) hide(sum);
}

[[gnu::target("avx512f,avx512bw")]] void int8_dot(std::size_t rounds) {
  __m512i sums[kChains], a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(-1), one = _mm512_set1_epi16(1);
  for (__m512i& sum : sums) hide(sum = _mm512_setzero_si512());
  for (std::size_t round = 0; round < rounds; ++round) {
    for (__m512i& sum : sums) {
      hide(a);  // every product is computed, none shared
      sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(a, b), one));
    }
  }
  for (__m512i& sum : sums) hide(sum);
}

[[gnu::target("avx512f,avx512bf16")]] void bf16_dot(std::size_t rounds) {
  __m512 sums[kChains];
  __m512i a = _mm512_set1_epi16(0x3f80), b = _mm512_set1_epi16(0x3080);  // 1 and about 1e-9
  for (__m512& sum : sums) hide(sum = _mm512_setzero_ps());
  for (std::size_t round = 0; round < rounds; ++round) {
    hide(a), hide(b);
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  }
  for (__m512& sum : sums) hide(sum);
}

[[gnu::target("avx512f")]] void f32_fma(std::size_t rounds) {
  __m512 sums[kChains], a = _mm512_set1_ps(1), b = _mm512_set1_ps(1e-9f);
  for (__m512& sum : sums) hide(sum = _mm512_setzero_ps());
  for (std::size_t round = 0; round < rounds; ++round) {
    hide(a), hide(b);
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(a, b, sum);
  }
  for (__m512& sum : sums) hide(sum);
}

}  // namespace

const MemoryLoops kMemoryLoops = {"avx512", kIsaAvx512, read, write, copy};
const PeakLoop kInt8Dot = {"avx512", kIsaAvx512, kChains * 64, int8_dot};
const PeakLoop kInt8DotVnni = {"avx512_vnni", kIsaAvx512 | kIsaAvx512Vnni, kChains * 64, int8_dot_vnni};
const PeakLoop kBf16Dot = {"avx512_bf16", kIsaAvx512 | kIsaAvx512Bf16, kChains * 32, bf16_dot};
const PeakLoop kF32Fma = {"avx512", kIsaAvx512, kChains * 16, f32_fma};

}  // namespace assay::avx512
#pragma GCC diagnostic pop
#endif
