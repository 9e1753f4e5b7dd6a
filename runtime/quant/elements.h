// Element formats: one value an element, nothing packed. F32, F16, BF16, F64, I8.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

struct F32 {
  static constexpr FormatId kId = FormatId::F32;
  using Element = float;
  static float value(const Element& element) { return element; }
};

struct F16 {
  static constexpr FormatId kId = FormatId::F16;
  using Element = Half;
  static float value(const Element& element) { return to_float(element); }
};

struct BF16 {
  static constexpr FormatId kId = FormatId::BF16;
  using Element = BFloat16;
  static float value(const Element& element) { return to_float(element); }
};

// Rounded to the nearest float, to infinity beyond its range.
struct F64 {
  static constexpr FormatId kId = FormatId::F64;
  using Element = double;
  static float value(const Element& element) { return static_cast<float>(element); }
};

struct I8 {
  static constexpr FormatId kId = FormatId::I8;
  using Element = std::int8_t;
  static float value(const Element& element) { return static_cast<float>(element); }
};

template <ElementFormat F>
inline constexpr bool kElementFitsDtype = dtype_of(F::kId).block_values == 1 &&
                                          sizeof(typename F::Element) == dtype_of(F::kId).block_bytes;
static_assert(kElementFitsDtype<F32> && kElementFitsDtype<F16> && kElementFitsDtype<BF16> && kElementFitsDtype<F64> &&
              kElementFitsDtype<I8>);

}  // namespace assay
