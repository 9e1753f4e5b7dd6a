// Weights and the scales that lie in tensors of their own: MLX, FP8, bitsandbytes.
#include <gtest/gtest.h>

#include <cstring>

#include "runtime/formats/safetensors_writer.h"
#include "tests/formats/files.h"

namespace assay {
namespace {

using test::fixture;
using Shape = std::vector<std::uint64_t>;

// A tensor to write; its bytes are a pattern.
struct Written {
  std::string name;
  FormatId format;
  Shape shape;
};

class Joins : public testing::Test {
 protected:
  void write(const std::string& config, const std::vector<Written>& tensors) {
    if (!config.empty()) test::write_file(folder_.path() / "config.json", config);
    SafetensorsWriter writer;
    for (const Written& tensor : tensors) ASSERT_TRUE(writer.add_tensor(tensor.name, tensor.format, tensor.shape));
    ASSERT_TRUE(writer.begin(folder_.path() / "model.safetensors"));
    unsigned seed = 0;
    for (const Written& tensor : tensors) {
      std::uint64_t count = 1;
      for (const std::uint64_t size : tensor.shape) count *= size;
      ASSERT_TRUE(writer.write(test::bytes_of(test::pattern(count * dtype_of(tensor.format).block_bytes, ++seed))));
    }
    ASSERT_TRUE(writer.finish());
  }
  Result<ModelFile> open() const { return open_model(folder_.path()); }
  std::string refusal() const {
    const auto model = open();
    return model ? "opened" : model.error().message();
  }
  std::vector<Finding> findings() const { return test::findings_of(folder_.path()); }

  test::TemporaryFolder folder_;
};

std::vector<Written> triple(const std::string& module, std::uint64_t rows, std::uint64_t words, std::uint64_t groups) {
  return {{module + ".weight", FormatId::U32, {rows, words}},
          {module + ".scales", FormatId::BF16, {rows, groups}},
          {module + ".biases", FormatId::BF16, {rows, groups}}};
}

std::string quantization(std::string_view inside) {
  return "{\"quantization\":{" + std::string(inside) + "}}";
}

struct MlxCase {
  int bits, group;
  FormatId format;
};

TEST_F(Joins, MlxTriplesOfEveryBitsAndGroupBecomeOneTensor) {
  for (const MlxCase& one : {MlxCase{2, 32, FormatId::MLX_Q2},
                             {3, 64, FormatId::MLX_Q3},
                             {4, 128, FormatId::MLX_Q4},
                             {5, 32, FormatId::MLX_Q5},
                             {6, 64, FormatId::MLX_Q6},
                             {8, 128, FormatId::MLX_Q8}}) {
    const std::uint64_t cols = 256;
    const std::uint64_t groups = cols / static_cast<unsigned>(one.group);
    write(quantization("\"group_size\":" + std::to_string(one.group) + ",\"bits\":" + std::to_string(one.bits)),
          triple("a.b", 3, cols * static_cast<unsigned>(one.bits) / 32, groups));
    const auto model = open();
    ASSERT_TRUE(model) << model.error().message();
    EXPECT_TRUE(model->is_mlx);
    ASSERT_EQ(model->tensors.size(), 1u);
    const TensorView* tensor = model->find("a.b.weight");
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(tensor->format, one.format);
    EXPECT_EQ(tensor->shape, (Shape{3, cols}));
    EXPECT_EQ(tensor->row_bytes() * 3, tensor->data.size());
    EXPECT_EQ(tensor->side.format, FormatId::BF16);
    EXPECT_EQ(tensor->side.group, static_cast<std::uint32_t>(one.group));
    EXPECT_EQ(test::text_of(tensor->side.scales), test::pattern(3 * groups * 2, 2));
    EXPECT_EQ(test::text_of(tensor->side.biases), test::pattern(3 * groups * 2, 3));
  }
}

TEST_F(Joins, MlxModulesMayHaveTheirOwnBitsOrNone) {
  auto tensors = triple("embed", 4, 32, 2);                                  // 128 values at 8 bits
  for (const Written& one : triple("up", 4, 16, 2)) tensors.push_back(one);  // 128 values at 4 bits
  tensors.push_back({"down.weight", FormatId::F16, {4, 128}});
  tensors.push_back({"up.bias", FormatId::F16, {4}});
  write(quantization(R"("group_size":64,"bits":4,"embed":{"group_size":64,"bits":8},"down":false,"up":true)"), tensors);
  const auto model = open();
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_EQ(model->tensors.size(), 4u);
  EXPECT_EQ(model->find("embed.weight")->format, FormatId::MLX_Q8);
  EXPECT_EQ(model->find("up.weight")->format, FormatId::MLX_Q4);
  EXPECT_EQ(model->find("down.weight")->format, FormatId::F16);
  EXPECT_NE(model->find("up.bias"), nullptr);
}

TEST_F(Joins, MlxExpertsKeepTheirLeadingDimension) {
  write(quantization(R"("group_size":32,"bits":4)"), {{"e.weight", FormatId::U32, {2, 3, 8}},
                                                      {"e.scales", FormatId::F16, {2, 3, 2}},
                                                      {"e.biases", FormatId::F16, {2, 3, 2}}});
  const auto model = open();
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_EQ(model->find("e.weight")->shape, (Shape{2, 3, 64}));
}

TEST_F(Joins, MlxRefusesShapesThatDoNotFitTheConfig) {
  write(quantization(R"("group_size":32,"bits":4)"), triple("a", 3, 32, 4));
  EXPECT_NE(refusal().find("a.weight: weight [3, 32] and scales [3, 4] do not fit group_size 32 and 4 bits"),
            std::string::npos)
      << refusal();
}

TEST_F(Joins, MlxRefusesBitsAndGroupsThatDoNotExist) {
  for (const char* inside : {R"("group_size":64,"bits":7)", R"("group_size":16,"bits":4)",
                             R"("group_size":64,"bits":-4)", R"("group_size":"64","bits":4)"}) {
    write(quantization(inside), triple("a", 3, 32, 4));
    EXPECT_NE(refusal().find("config.json: quantization: group_size"), std::string::npos) << refusal();
  }
}

TEST_F(Joins, MlxRefusesOtherModesByName) {
  write(quantization(R"("group_size":32,"bits":4,"mode":"nvfp4")"),
        {{"a.weight", FormatId::U32, {3, 8}}, {"a.scales", FormatId::U8, {3, 2}}});
  EXPECT_NE(refusal().find("nvfp4"), std::string::npos) << refusal();
}

TEST_F(Joins, MlxNamesWhatIsMissingOfATriple) {
  const std::string config = quantization(R"("group_size":64,"bits":4)");
  auto tensors = triple("a", 3, 16, 2);
  write(config, {tensors[0], tensors[1]});
  EXPECT_NE(refusal().find("there is no a.biases"), std::string::npos) << refusal();
  write(config, {tensors[0], tensors[2]});
  EXPECT_NE(refusal().find("there is no a.scales"), std::string::npos) << refusal();
  write(config, {tensors[1], tensors[2]});
  EXPECT_NE(refusal().find("there is no a.weight"), std::string::npos) << refusal();
}

TEST_F(Joins, MlxRefusesScalesForAModuleThatIsNotQuantised) {
  write(quantization(R"("group_size":64,"bits":4,"a":false)"), triple("a", 3, 16, 2));
  EXPECT_NE(refusal().find("not quantised, but it has scales"), std::string::npos) << refusal();
}

TEST_F(Joins, MlxRefusesAWeightOfAnotherTypeAndScalesThatDiffer) {
  const std::string config = quantization(R"("group_size":64,"bits":4)");
  auto tensors = triple("a", 3, 16, 2);
  tensors[0].format = FormatId::I32;
  write(config, tensors);
  EXPECT_TRUE(test::has_rule(findings(), "mlx.weight-type"));
  tensors = triple("a", 3, 16, 2);
  tensors[2].shape = {3, 4};
  write(config, tensors);
  EXPECT_TRUE(test::has_rule(findings(), "mlx.biases-shape"));
}

TEST_F(Joins, MlxWithoutConfigStaysAsItIsWithAWarning) {
  write("", triple("a", 3, 16, 2));
  const auto model = open();
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_FALSE(model->is_mlx);
  EXPECT_EQ(model->tensors.size(), 3u);
  EXPECT_TRUE(test::has_rule(findings(), "mlx.config-missing"));
}

TEST_F(Joins, Fp8PerTensorAndPerBlockScalesAreFound) {
  const auto model = open_model(fixture("quant/fp8/scaled.safetensors"));
  ASSERT_TRUE(model) << model.error().message();
  ASSERT_EQ(model->tensors.size(), 2u);
  const TensorView* a = model->find("a.weight");
  EXPECT_EQ(a->format, FormatId::F8_E4M3);
  EXPECT_EQ(a->side.scales.size(), 4u);
  const TensorView* b = model->find("b.weight");
  EXPECT_EQ(b->side.group, 128u);
  EXPECT_EQ(b->side.group_rows, 128u);
  EXPECT_EQ(b->side.scales.size(), 16u);
  EXPECT_EQ(b->side.format, FormatId::F32);
}

TEST_F(Joins, Fp8ScalesPerRowAndOfOtherBlocksAreFound) {
  write(R"({"quantization_config":{"quant_method":"fp8","weight_block_size":[4,16]}})",
        {{"r.weight", FormatId::F8_E5M2, {6, 32}},
         {"r.weight_scale", FormatId::BF16, {6, 1}},
         {"v.weight", FormatId::F8_E4M3, {6, 32}},
         {"v.weight_scale", FormatId::F32, {6}},
         {"b.weight", FormatId::F8_E4M3, {6, 24}},
         {"b.weight_scale_inv", FormatId::F32, {2, 2}},
         {"e.weight", FormatId::F8_E4M3, {3, 8, 16}},
         {"e.weight_scale_inv", FormatId::F32, {3, 2, 1}},
         {"plain.weight", FormatId::F8_E4M3, {2, 2}}});
  const auto model = open();
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_EQ(model->tensors.size(), 5u);
  for (const char* name : {"r.weight", "v.weight"}) {
    EXPECT_EQ(model->find(name)->side.group_rows, 1u);
    EXPECT_EQ(model->find(name)->side.group, 32u);
  }
  EXPECT_EQ(model->find("b.weight")->side.group_rows, 4u);
  EXPECT_EQ(model->find("b.weight")->side.group, 16u);
  EXPECT_EQ(model->find("e.weight")->side.group_rows, 4u);
  EXPECT_TRUE(model->find("plain.weight")->side.scales.empty());
}

TEST_F(Joins, Fp8RefusesScalesThatFitNothing) {
  write("", {{"a.weight", FormatId::F8_E4M3, {6, 32}}, {"a.weight_scale", FormatId::F32, {5}}});
  EXPECT_NE(refusal().find("scales [5] fit the weight [6, 32] neither"), std::string::npos) << refusal();
  write("", {{"a.weight", FormatId::F8_E4M3, {6, 32}},
             {"a.weight_scale", FormatId::F32, {1}},
             {"a.weight_scale_inv", FormatId::F32, {1}}});
  EXPECT_NE(refusal().find("both _scale and _scale_inv"), std::string::npos) << refusal();
}

TEST(Bitsandbytes, Nf4AndFp4GetTheirShapeAndAbsmax) {
  for (const char* name : {"nf4_b64", "nf4_b128", "fp4_b64"}) {
    const auto model = open_model(fixture("quant/nf4/" + std::string(name) + ".safetensors"));
    ASSERT_TRUE(model) << model.error().message();
    ASSERT_EQ(model->tensors.size(), 1u);
    const TensorView& tensor = model->tensors[0];
    const std::uint32_t block = std::string_view(name).ends_with("128") ? 128 : 64;
    EXPECT_EQ(tensor.name, "t.weight");
    EXPECT_EQ(tensor.format, std::string_view(name).starts_with("nf4") ? FormatId::NF4 : FormatId::FP4);
    EXPECT_EQ(tensor.shape, (Shape{16, 1024}));
    EXPECT_EQ(tensor.side.group, block);
    EXPECT_EQ(tensor.side.scales.size(), 16 * 1024 / block * sizeof(float));
    EXPECT_TRUE(model->owned.empty());
  }
}

// The expected absmax, recomputed from the dequantised values: NF4 reaches -1 or 1 in every block.
TEST(Bitsandbytes, NestedAbsmaxIsExpanded) {
  const auto model = open_model(fixture("quant/nf4/nf4_b64_nested.safetensors"));
  ASSERT_TRUE(model) << model.error().message();
  ASSERT_EQ(model->tensors.size(), 1u);
  ASSERT_EQ(model->owned.size(), 1u);
  const auto expected = test::read_values<float>(fixture("quant/nf4/nf4_b64_nested.deq.f32.bin"));
  const Bytes scales = model->tensors[0].side.scales;
  ASSERT_EQ(scales.size(), expected.size() / 64 * sizeof(float));
  for (std::size_t block = 0; block < expected.size() / 64; ++block) {
    float largest = 0;
    for (std::size_t i = 0; i < 64; ++i) largest = std::max(largest, std::abs(expected[64 * block + i]));
    const float absmax = load<float>(scales.data() + 4 * block);
    EXPECT_GE(std::abs(absmax), largest) << block;
    // Some code of the block is +-1 unless the block is nearly zero beside its neighbours, where nesting flattens
    // absmax.
    if (largest > 1) {
      EXPECT_EQ(std::abs(absmax), largest) << block;
    }
  }
}

TEST_F(Joins, BitsandbytesNamesWhatIsMissing) {
  write("", {{"t.weight.quant_state.bitsandbytes__nf4", FormatId::U8, {4}}});
  EXPECT_NE(refusal().find("there is no weight for this quantisation state"), std::string::npos) << refusal();
  write("", {{"t.weight", FormatId::U8, {8, 1}}, {"t.weight.quant_state.bitsandbytes__nf4", FormatId::U8, {4}}});
  EXPECT_NE(refusal().find("is not valid JSON"), std::string::npos) << refusal();
  write("", {{"t.weight", FormatId::U8, {8, 1}}, {"t.weight.quant_state.bitsandbytes__nf2", FormatId::U8, {4}}});
  EXPECT_NE(refusal().find("\"nf2\" is not known"), std::string::npos) << refusal();
}

// A quantisation state written by hand over a valid file's, of the same length.
TEST(Bitsandbytes, RefusesAStateThatDoesNotFitTheData) {
  const test::TemporaryFolder folder;
  const std::string good = test::read_text(fixture("quant/nf4/nf4_b64.safetensors"));
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string bad = good;
    const std::size_t at = bad.find(from);
    EXPECT_NE(at, std::string::npos);
    bad.replace(at, from.size(), to);
    test::write_file(folder.path() / "model.safetensors", bad);
    const auto model = open_model(folder.path());
    return model ? std::string("opened") : model.error().message();
  };
  EXPECT_NE(with("[16, 1024]", "[17, 1024]").find("takes 8704 bytes"), std::string::npos);
  EXPECT_NE(with("\"blocksize\": 64", "\"blocksize\": 32").find("should be 512 values of F32"), std::string::npos);
  EXPECT_NE(with("\"blocksize\": 64", "\"blocksize\": 0 ").find("blocksize"), std::string::npos);
  EXPECT_NE(with("[16, 1024]", "[16384, 1]").find("do not end on a byte"), std::string::npos);
  EXPECT_NE(with("[16, 1024]", "[0, 1024] ").find("whole positive numbers"), std::string::npos);
}

}  // namespace
}  // namespace assay
