// The estimate of quality: bits by class of tensor, a class from the bits, the memory a session needs.
#include "runtime/validate/quality.h"

#include "tests/validate/support.h"

namespace assay {
namespace {

Quality quality_of(std::string_view path) {
  const auto model = open_model(test::fixture(path));
  EXPECT_TRUE(model) << model.error().message();
  return estimate_quality(*model);
}

double bits_of(const Quality& quality, TensorClass kind) {
  for (const ClassBits& each : quality.classes)
    if (each.kind == kind) return each.bits_per_weight();
  return 0;
}

TEST(Quality, CountsParametersAndBitsByClass) {
  const Quality quality = quality_of("models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf");
  EXPECT_EQ(quality.parameters, 5770496u);
  EXPECT_NEAR(bits_of(quality, TensorClass::embedding), 4.5, 0.01);  // Q4_K
  EXPECT_NEAR(bits_of(quality, TensorClass::output), 6.5625, 0.01);  // Q6_K
  EXPECT_GT(bits_of(quality, TensorClass::attention), 4.4);
  EXPECT_GT(quality.layer_bits, 4.5);
  EXPECT_LT(quality.layer_bits, 5.0);
  std::uint64_t sum = 0;
  for (const ClassBits& each : quality.classes) sum += each.parameters;
  EXPECT_EQ(sum, quality.parameters);
}

TEST(Quality, FallsWithTheBits) {
  EXPECT_EQ(quality_of("models/nano-frankenstein/gguf/nano-frankenstein-F16.gguf").expected,
            "full precision, as trained");
  EXPECT_EQ(quality_of("models/nano-frankenstein/gguf/nano-frankenstein-Q8_0.gguf").expected,
            "hard to tell from full precision");
  EXPECT_EQ(quality_of("models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf").expected,
            "a little below full precision");
  EXPECT_EQ(quality_of("models/nano-frankenstein/mlx-4bit").expected, "a little below full precision");
}

TEST(Quality, TellsTheMemoryOfModelsThatRun) {
  const Quality quality = quality_of("models/nano-frankenstein/hf-sharded");
  ASSERT_TRUE(quality.memory);
  EXPECT_EQ(quality.context, 512u);
  EXPECT_GT(quality.memory->total_bytes(), quality.memory->weights_bytes);
  EXPECT_FALSE(quality_of("corrupt/gguf/ok_tensor_names_63_only.gguf").memory);
  EXPECT_EQ(quality_of("corrupt/gguf/ok_empty_tensors.gguf").expected, "");
}

}  // namespace
}  // namespace assay
