// What a weight format is: the concepts its struct fulfils. The formats together, and the one switch over them: all.h.
//
// Three kinds, each described once by a struct in this folder:
//  * ElementFormat: one value an element (F32, F16, BF16, F64, I8).
//  * BlockFormat: self-contained blocks of kBlock values. Every one of them, codebooks and grids included, is
//        value = scale * (level - kBias) + offset
//    with an 8-bit unsigned level per value and one Affine {scale, offset} per kGroup values. Computing
//    `scale * (level - kBias)` first and then adding `offset`, each rounded to float, equals the published decoders bit
//    for bit.
//  * SideFormat: codes here, scales in tensors of their own (MLX affine, FP8, NF4, FP4); see SideScales.
#pragma once

#include <concepts>
#include <cstdint>
#include <utility>

#include "runtime/core/bytes.h"
#include "runtime/formats/dtype.h"

namespace assay {

struct Affine {
  float scale = 0;
  float offset = 0;
};

template <class F>
concept ElementFormat = requires(const typename F::Element& element) {
  { F::kId } -> std::convertible_to<FormatId>;
  { F::value(element) } -> std::same_as<float>;
};

// Levels come one by one (`level`) or, where they decode jointly (grids), in runs of 32 (`levels32`, from
// value 32 * run).
template <class F>
concept BlockFormat = requires(const typename F::Block& block, int i, std::uint8_t* out) {
  { F::kId } -> std::convertible_to<FormatId>;
  { F::kBlock } -> std::convertible_to<int>;  // values in a block, a multiple of 32
  { F::kGroup } -> std::convertible_to<int>;  // values that share one Affine
  { F::kBias } -> std::convertible_to<int>;
  { F::kMaxLevel } -> std::convertible_to<int>;     // no valid code gives a higher level; up to 255
  { F::kHasOffset } -> std::convertible_to<bool>;   // false: every offset is 0 and is not added
  { F::affine(block, i) } -> std::same_as<Affine>;  // of group i
}
&&(
    requires(const typename F::Block& block, int i) {
      { F::level(block, i) } -> std::same_as<std::uint8_t>;  // of value i
    } ||
    requires(const typename F::Block& block, int run, std::uint8_t* out) { F::levels32(block, run, out); });

// Codes packed like the block formats' (level), scaled from outside: value = scale * code_value + bias.
template <class F>
concept SideFormat = requires(const std::byte* data, std::uint64_t i) {
  { F::kId } -> std::convertible_to<FormatId>;
  { F::code_value(data, i) } -> std::same_as<float>;  // the unscaled value of element i of a row
};

// Values 32 * Run and on. The start is a constant so that the compiler folds level()'s index arithmetic: twice as fast.
template <BlockFormat F, int Run>
void levels_run(const typename F::Block& block, std::uint8_t* out) {
  if constexpr (requires { F::level(block, 0); }) {
    for (int i = 32 * Run; i < 32 * Run + 32; ++i) out[i] = F::level(block, i);
  } else {
    F::levels32(block, Run, out + 32 * Run);
  }
}
template <BlockFormat F, int... Run>
void levels_runs(const typename F::Block& block, std::uint8_t* out, std::integer_sequence<int, Run...>) {
  (levels_run<F, Run>(block, out), ...);
}

// All levels of one block, whichever way the format gives them.
template <BlockFormat F>
void levels_of(const typename F::Block& block, std::uint8_t* out) {
  levels_runs<F>(block, out, std::make_integer_sequence<int, F::kBlock / 32>{});
}

}  // namespace assay
