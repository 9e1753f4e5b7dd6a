// F16 and BF16 conversion, every code both ways, against arithmetic in double.
#include "runtime/core/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace assay {
namespace {

struct HalfCase {
  using Code = Half;
  static constexpr int kMantissaBits = 10, kExponentBits = 5;
  static float decode(std::uint16_t bits) { return to_float(Half{bits}); }
  static std::uint16_t encode(float value) { return to_half(value).bits; }
};
struct BFloat16Case {
  using Code = BFloat16;
  static constexpr int kMantissaBits = 7, kExponentBits = 8;
  static float decode(std::uint16_t bits) { return to_float(BFloat16{bits}); }
  static std::uint16_t encode(float value) { return to_bfloat16(value).bits; }
};

template <class Case>
class SixteenBitFloat : public ::testing::Test {
 protected:
  static constexpr int kMaxExponent = (1 << Case::kExponentBits) - 1;
  static constexpr std::uint16_t kInfinity = kMaxExponent << Case::kMantissaBits;

  static bool is_nan(std::uint16_t bits) { return (bits & 0x7fff) > kInfinity; }
  // What the code means by IEEE 754's definition; codes of infinity as one binade more than the largest.
  static double meaning(int bits) {
    const int exponent = (bits & 0x7fff) >> Case::kMantissaBits;
    const int mantissa = bits & ((1 << Case::kMantissaBits) - 1);
    const int implied = exponent == 0 ? 0 : 1 << Case::kMantissaBits;
    const int power = std::max(exponent, 1) - kMaxExponent / 2 - Case::kMantissaBits;
    return std::ldexp(implied + mantissa, power) * (bits & 0x8000 ? -1 : 1);
  }
};
using Cases = ::testing::Types<HalfCase, BFloat16Case>;
struct CaseNames {
  template <class Case>
  static std::string GetName(int) {
    return Case::kMantissaBits == 10 ? "F16" : "BF16";
  }
};
TYPED_TEST_SUITE(SixteenBitFloat, Cases, CaseNames);

TYPED_TEST(SixteenBitFloat, EveryCodeDecodesToItsMeaning) {
  for (int code = 0; code < 65536; ++code) {
    const auto bits = static_cast<std::uint16_t>(code);
    const float value = TypeParam::decode(bits);
    if (this->is_nan(bits)) {
      ASSERT_TRUE(std::isnan(value)) << code;
    } else if ((bits & 0x7fff) == this->kInfinity) {
      ASSERT_TRUE(std::isinf(value)) << code;
    } else {
      ASSERT_EQ(static_cast<double>(value), this->meaning(code)) << code;
    }
    if (!std::isnan(value)) {
      ASSERT_EQ(std::signbit(value), (bits & 0x8000) != 0) << code;
    }
  }
}

TYPED_TEST(SixteenBitFloat, EveryCodeSurvivesTheRoundTrip) {
  for (int code = 0; code < 65536; ++code) {
    const auto bits = static_cast<std::uint16_t>(code);
    const std::uint16_t back = TypeParam::encode(TypeParam::decode(bits));
    if (this->is_nan(bits)) {
      ASSERT_TRUE(this->is_nan(back)) << code;
    } else {
      ASSERT_EQ(back, bits) << code;
    }
  }
}

// Half-way points go to the even code, everything nearer to a code goes there; the largest code's upper half-way point
// is where infinity begins.
TYPED_TEST(SixteenBitFloat, RoundsToTheNearestCodeTiesToEven) {
  for (int code = 0; code < this->kInfinity; ++code) {
    const double middle = (this->meaning(code) + this->meaning(code + 1)) / 2;
    const float tie = static_cast<float>(middle);
    const int even = code + code % 2;
    const float below = std::nextafterf(tie, 0), above = std::nextafterf(tie, std::numeric_limits<float>::infinity());
    for (const int sign : {0, 0x8000}) {
      const float factor = sign == 0 ? 1.0f : -1.0f;
      // BF16's last tie lies beyond float's range.
      if (std::isfinite(tie)) {
        ASSERT_EQ(TypeParam::encode(factor * tie), sign | even) << code;
      }
      ASSERT_EQ(TypeParam::encode(factor * below), sign | code) << code;
      if (std::isfinite(above)) {
        ASSERT_EQ(TypeParam::encode(factor * above), sign | (code + 1)) << code;
      }
    }
  }
  EXPECT_EQ(TypeParam::encode(std::numeric_limits<float>::max()), this->kInfinity);
  EXPECT_EQ(TypeParam::encode(-std::numeric_limits<float>::infinity()), this->kInfinity | 0x8000);
  EXPECT_EQ(TypeParam::encode(std::numeric_limits<float>::denorm_min()), 0);
}

}  // namespace
}  // namespace assay
