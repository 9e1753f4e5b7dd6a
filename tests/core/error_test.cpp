// Errors, results and the macros that pass them on.
#include "runtime/core/error.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "runtime/core/assert.h"

namespace assay {
namespace {

Result<int> half_of(int value) {
  if (value % 2 != 0) return Error{Code::range, "value", "is odd; give an even one"};
  return value / 2;
}

Result<int> quarter_of(int value) {
  ASSAY_TRY(const int half, half_of(value));
  ASSAY_TRY(const int quarter, half_of(half));
  return quarter;
}

Result<> require_even(int value) {
  ASSAY_TRY_VOID(half_of(value));
  return success();
}

TEST(Error, MessageNamesFileSubjectDetailAndOffset) {
  const Error error{Code::shape, "blk.3.attn_k.weight", "file 1024x4096, config 512x4096", "model.gguf", 4096};
  EXPECT_EQ(error.message(), "model.gguf: blk.3.attn_k.weight: file 1024x4096, config 512x4096 (at byte 4096)");
  EXPECT_EQ((Error{Code::io, "", "cannot open"}).message(), "cannot open");
}

TEST(Error, EveryCodeHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Code::interrupted); ++code) names.insert(name_of(static_cast<Code>(code)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Code::interrupted) + 1);
  EXPECT_FALSE(names.contains(""));
  EXPECT_EQ(name_of(Code::interrupted), "interrupted");
}

TEST(Error, TryPassesValuesOnAndReturnsTheFirstError) {
  EXPECT_EQ(*quarter_of(12), 3);
  EXPECT_EQ(quarter_of(6).error().subject, "value");
  EXPECT_TRUE(require_even(2));
  EXPECT_EQ(require_even(3).error().code, Code::range);
}

TEST(Error, ResultCarriesValuesThatOnlyMove) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  ASSERT_TRUE(result);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 7);
}

TEST(AssertDeathTest, BrokenPromiseNamesTheConditionAndThePlace) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(ASSAY_CHECK(1 + 1 == 3), "1 \\+ 1 == 3 does not hold \\(.*error_test.cpp:[0-9]+\\)");
  ASSAY_CHECK(1 + 1 == 2);
}

}  // namespace
}  // namespace assay
