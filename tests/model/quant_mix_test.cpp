// Mixes: the same formats as llama-quantize gave the files we have, and the rules those files do not reach.
#include "runtime/model/quant_mix.h"

#include <gtest/gtest.h>

#include "runtime/formats/model_file.h"
#include "runtime/model/convert.h"
#include "tests/support/data.h"

namespace assay {
namespace {

using enum FormatId;

void expect_mix_of(const std::filesystem::path& path, std::string_view name, bool pure = false) {
  const auto file = open_model(path);
  ASSERT_TRUE(file) << file.error().message();
  const auto mix = mix_from_name(name, pure);
  ASSERT_TRUE(mix) << name;
  const auto type = file->metadata.unsigned_integer("general.file_type");
  ASSERT_TRUE(type);
  EXPECT_EQ(mix->file_type, *type) << path;
  const MixModel model = mix_model_of(*file);
  for (const TensorView& tensor : file->tensors) {
    const FormatId given = mix_format(*mix, model, {.name = tensor.name, .shape = tensor.shape, .kept = F32});
    EXPECT_EQ(name_of(given), name_of(tensor.format)) << path << ": " << tensor.name;
  }
}

TEST(QuantMix, ReproducesTheFixtures) {
  expect_mix_of(test::fixture("models/nano-frankenstein/gguf/nano-frankenstein-F16.gguf"), "F16");
  expect_mix_of(test::fixture("models/nano-frankenstein/gguf/nano-frankenstein-Q8_0.gguf"), "Q8_0");
  expect_mix_of(test::fixture("models/nano-frankenstein/gguf/nano-frankenstein-Q4_K_M.gguf"), "Q4_K_M");
  expect_mix_of(test::fixture("models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf"), "Q4_K_M");
}

TEST(QuantMix, ReproducesEveryStoredMixOfTheSharedModels) {
  ASSAY_SHARED_OR_SKIP(path, "models/nano-frankenstein/gguf");
  for (const char* name : {"BF16", "Q2_K", "Q3_K_M", "Q4_0", "Q4_K_S", "Q5_0", "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS"})
    expect_mix_of(path / (std::string("nano-frankenstein-") + name + ".gguf"), name);
  expect_mix_of(path / "nano-frankenstein-Q2_K-pure.gguf", "Q2_K", true);
}

FormatId format(std::string_view mix, std::string_view tensor, const MixModel& model, std::vector<std::uint64_t> shape = {4096, 4096}, bool pure = false) {
  return mix_format(*mix_from_name(mix, pure), model, {.name = tensor, .shape = shape, .kept = BF16});
}

constexpr MixModel kDense{.layers = 32, .heads = 32, .kv_heads = 32};

TEST(QuantMix, GivesMoreBitsToTheEndsAndEveryThirdLayerBetween) {
  for (const std::uint32_t layer : {0u, 1u, 2u, 3u, 6u, 9u, 27u, 28u, 31u})
    EXPECT_EQ(format("Q4_K_M", "blk." + std::to_string(layer) + ".ffn_down.weight", kDense), Q6_K) << layer;
  for (const std::uint32_t layer : {4u, 5u, 7u, 8u, 10u, 25u, 26u})
    EXPECT_EQ(format("Q4_K_M", "blk." + std::to_string(layer) + ".ffn_down.weight", kDense), Q4_K) << layer;
}

TEST(QuantMix, KnowsTheRulesOfEachName) {
  EXPECT_EQ(format("Q4_K_S", "blk.3.attn_v.weight", kDense), Q5_K);
  EXPECT_EQ(format("Q4_K_S", "blk.4.attn_v.weight", kDense), Q4_K);
  EXPECT_EQ(format("Q4_K_S", "blk.3.ffn_down.weight", kDense), Q5_K);
  EXPECT_EQ(format("Q3_K_M", "blk.1.attn_v.weight", kDense), Q5_K);
  EXPECT_EQ(format("Q3_K_M", "blk.2.attn_v.weight", kDense), Q4_K);
  EXPECT_EQ(format("Q3_K_M", "blk.1.ffn_down.weight", kDense), Q5_K);
  EXPECT_EQ(format("Q3_K_M", "blk.2.attn_output.weight", kDense), Q4_K);
  EXPECT_EQ(format("Q3_K_L", "blk.20.attn_output.weight", kDense), Q5_K);
  EXPECT_EQ(format("Q3_K_S", "blk.0.attn_v.weight", kDense), Q3_K);
  EXPECT_EQ(format("Q2_K", "blk.9.attn_v.weight", kDense), Q3_K);
  const MixModel grouped{.layers = 32, .heads = 32, .kv_heads = 8};
  EXPECT_EQ(format("Q2_K", "blk.9.attn_v.weight", grouped), Q4_K);
  EXPECT_EQ(format("IQ4_NL", "blk.9.attn_v.weight", grouped), Q5_K);
  EXPECT_EQ(format("Q5_K_S", "blk.0.ffn_down.weight", kDense), Q5_K);
}

TEST(QuantMix, KnowsModelsOfEightExpertsAndSeventyBillion) {
  const MixModel experts{.layers = 32, .heads = 32, .kv_heads = 8, .experts = 8};
  EXPECT_EQ(format("Q4_K_M", "blk.9.attn_v.weight", experts), Q8_0);
  EXPECT_EQ(format("Q4_K_M", "blk.9.attn_k.weight", experts), Q8_0);
  EXPECT_EQ(format("Q4_K_M", "blk.9.attn_output.weight", experts), Q5_K);
  EXPECT_EQ(format("Q4_K_M", "blk.9.ffn_gate_inp.weight", experts), BF16);
  EXPECT_EQ(format("MXFP4_MOE", "blk.9.ffn_up_exps.weight", experts, {8, 4096, 4096}), MXFP4);
  EXPECT_EQ(format("MXFP4_MOE", "blk.9.attn_q.weight", experts), Q8_0);
  const MixModel large{.layers = 80, .heads = 64, .kv_heads = 8};
  EXPECT_EQ(format("Q4_K_S", "blk.40.attn_v.weight", large), Q5_K);
}

TEST(QuantMix, GivesTheHeadMoreBitsUnlessPure) {
  const MixModel tied{.layers = 32, .heads = 32, .kv_heads = 8, .is_tied = true};
  EXPECT_EQ(format("Q4_K_M", "output.weight", kDense), Q6_K);
  EXPECT_EQ(format("Q4_K_M", "token_embd.weight", kDense), Q4_K);
  EXPECT_EQ(format("Q4_K_M", "token_embd.weight", tied), Q6_K);
  EXPECT_EQ(format("Q8_0", "output.weight", kDense), Q8_0);
  EXPECT_EQ(format("Q4_K_M", "output.weight", kDense, {4096, 4096}, true), Q4_K);
}

TEST(QuantMix, FallsBackWhereRowsDoNotHoldWholeBlocks) {
  EXPECT_EQ(format("Q4_K_M", "blk.5.attn_q.weight", kDense, {64, 96}), Q5_0);
  EXPECT_EQ(format("Q5_K_M", "blk.5.attn_q.weight", kDense, {64, 96}), Q5_1);
  EXPECT_EQ(format("Q6_K", "blk.5.attn_q.weight", kDense, {64, 96}), Q8_0);
  EXPECT_EQ(format("Q3_K_S", "blk.5.attn_q.weight", kDense, {64, 96}), Q4_0);
  EXPECT_EQ(format("IQ4_XS", "blk.5.attn_q.weight", kDense, {64, 96}), IQ4_NL);
  EXPECT_EQ(format("Q4_K_M", "output.weight", kDense, {64, 96}), Q8_0);
  EXPECT_EQ(format("Q4_K_M", "blk.5.attn_q.weight", kDense, {64, 80}), F16);
}

TEST(QuantMix, LeavesVectorsAndSmallHelpersAlone) {
  EXPECT_EQ(format("Q4_0", "blk.5.attn_norm.weight", kDense, {4096}), BF16);
  EXPECT_EQ(format("Q4_0", "blk.5.attn_q.bias", kDense, {4096}), BF16);
  EXPECT_EQ(format("Q4_0", "position_embd.weight", kDense), BF16);
  EXPECT_EQ(format("Q4_0", "blk.5.attn_q.weight", kDense, {1, 4096}), BF16) << "one row is a vector";
}

TEST(QuantMix, KnowsItsNames) {
  EXPECT_EQ(mix_from_name("q4_k_m")->name, "Q4_K_M");
  EXPECT_EQ(mix_from_name("Q4_K")->name, "Q4_K_M");
  EXPECT_FALSE(mix_from_name("Q4_K_XL"));
  EXPECT_EQ(mix_name_of(15), "Q4_K_M");
  EXPECT_EQ(mix_name_of(7), "Q8_0");
  EXPECT_EQ(mix_name_of(999), "");
  for (const std::string_view name : mix_names()) EXPECT_TRUE(mix_from_name(name)) << name;
}

}  // namespace
}  // namespace assay
