// All malformed and all odd but valid files of fixtures/corrupt get the verdict of their manifest, at every level.
#include "runtime/model/convert.h"
#include "tests/support/rewrap.h"
#include "tests/validate/support.h"

namespace assay {
namespace {

struct Case {
  std::string path, expect, what;
};
void PrintTo(const Case& one, std::ostream* out) {
  *out << one.path << " (" << one.what << ")";
}

std::string text_at(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  return value != nullptr && value->string() != nullptr ? *value->string() : "";
}

std::vector<Case> cases() {
  std::vector<Case> out;
  for (const std::string folder : {"gguf", "safetensors", "sharded"}) {
    const Json manifest = test::read_json(test::fixture("corrupt/" + folder + "/manifest.json"));
    for (const Json& entry : *manifest.array()) {
      const std::string file = text_at(entry, "file");
      out.push_back({folder + "/" + (file.empty() ? text_at(entry, "dir") : file), text_at(entry, "expect"),
                     text_at(entry, "what")});
    }
  }
  return out;
}

std::string test_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.path;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

class Manifest : public testing::TestWithParam<Case> {};

TEST_P(Manifest, GetsItsVerdict) {
  const Case& one = GetParam();
  const Validation validation = test::validated(test::fixture("corrupt/" + one.path));
  test::expect_sound(validation);
  const std::size_t errors = validation.count(Severity::error), warnings = validation.count(Severity::warning);
  if (one.expect == "reject")
    EXPECT_GT(errors, 0u) << test::told(validation);
  else if (one.expect == "reject_or_warn")
    EXPECT_GT(errors + warnings, 0u) << test::told(validation);
  else if (one.expect == "accept")
    EXPECT_EQ(errors, 0u) << test::told(validation);
  else
    EXPECT_EQ(one.expect, "no_crash");
}

INSTANTIATE_TEST_SUITE_P(Corrupt, Manifest, testing::ValuesIn(cases()), test_name);

TEST(ValidModels, HaveNoErrorsAndNoWarnings) {
  std::size_t seen = 0;
  for (const char* model : {"nano-frankenstein", "tiny-frankenstein"})
    for (const auto& entry : std::filesystem::directory_iterator(test::fixture(std::string("models/") + model))) {
      if (!entry.is_directory()) continue;
      for (const auto& path : models_at(entry.path())) {
        const Validation validation = test::validated(path, {.hash = true, .run = true});
        EXPECT_EQ(validation.count(Severity::error) + validation.count(Severity::warning), 0u)
            << path << "\n"
            << test::told(validation);
        EXPECT_TRUE(validation.quality.has_value()) << path;
        ++seen;
      }
    }
  EXPECT_GE(seen, 6u);
}

TEST(ValidModels, OfAllArchitecturesHaveNoErrors) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(test::fixture("architectures"))) {
    if (entry.path().extension() != ".gguf" && entry.path().extension() != ".safetensors") continue;
    const Validation validation = test::validated(entry.path());
    EXPECT_EQ(validation.count(Severity::error), 0u) << entry.path() << "\n" << test::told(validation);
  }
}

// A language model inside another repository: its tensors are held against its own configuration, the image encoder's are left alone.
TEST(ValidModels, InsideOtherRepositoriesHaveNoErrors) {
  const auto file = open_model(test::fixture("architectures/gemma3/model.gguf"));
  ASSERT_TRUE(file);
  const auto model = bind_model(*file);
  ASSERT_TRUE(model) << model.error().message();
  const Json config = *parse_json(R"({"model_type": "gemma3", "vision_config": {"model_type": "siglip_vision_model"}, "text_config": {
      "model_type": "gemma3_text", "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 24,
      "vocab_size": 256, "rope_theta": 1000000.0, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 16}})");
  const test::TemporaryFolder folder;
  test::write_folder(*model, config, {{"vision_tower.vision_model.embeddings.patch_embedding.weight", {8, 3, 2, 2}}, {"multi_modal_projector.mm_soft_emb_norm.bias", {8}}}, Layout::hf, folder.path());
  const Validation validation = test::validated(folder.path());
  EXPECT_EQ(validation.count(Severity::error), 0u) << test::told(validation);
}

// As Hugging Face names numbers and tensors, which is not one way: GPT-2 and Falcon have names of their own.
TEST(ValidModels, FoldersOfEveryFamilyHaveNoErrors) {
  ConvertOptions options;
  options.kind = ConvertKind::safetensors;
  options.format = FormatId::F32;
  for (const auto& entry : std::filesystem::directory_iterator(test::fixture("architectures"))) {
    if (!std::filesystem::exists(entry.path() / "model.gguf")) continue;
    SCOPED_TRACE(entry.path().filename().string());
    const auto file = open_model(entry.path() / "model.gguf");
    ASSERT_TRUE(file);
    const test::TemporaryFolder folder;
    const auto report = convert_model(*file, folder.path() / "hf", options, ignore_progress);
    ASSERT_TRUE(report) << report.error().message();
    const Validation validation = test::validated(folder.path() / "hf");
    EXPECT_EQ(validation.count(Severity::error), 0u) << test::told(validation);
    EXPECT_EQ(validation.count(Severity::warning), 0u) << test::told(validation);
  }
}

// Codes in bytes beside their exponents, as gpt-oss is published.
TEST(ValidModels, Mxfp4InTwoTensorsHasNoErrors) {
  const auto file = open_model(test::fixture("architectures/gpt-oss/model-mxfp4.gguf"));
  ASSERT_TRUE(file);
  const auto model = bind_model(*file);
  ASSERT_TRUE(model) << model.error().message();
  const Json config = *parse_json(R"({"model_type": "gpt_oss", "hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "vocab_size": 256,
      "rope_theta": 150000.0, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 16, "quantization_config": {"quant_method": "mxfp4"}})");
  const test::TemporaryFolder folder;
  test::write_folder(*model, config, {}, Layout::hf, folder.path());
  const Validation validation = test::validated(folder.path());
  EXPECT_EQ(validation.count(Severity::error), 0u) << test::told(validation);
  EXPECT_EQ(validation.count(Severity::warning), 0u) << test::told(validation);
}

TEST(Validate, APathThatCannotBeReadIsAnErrorAndNoFinding) {
  const auto missing = validate("/nonexistent/model.gguf");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  const auto device = validate("/dev/null");
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().code, Code::io);
}

TEST(Validate, StopsWhenProgressSaysSo) {
  const auto stopped =
      validate(test::fixture("models/nano-frankenstein/hf-sharded"), {}, [](const ProgressEvent&) { return false; });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::interrupted);
}

TEST(ModelsAt, AreTheModelsOfAFolderOrARepository) {
  const test::TemporaryFolder folder;
  namespace fs = std::filesystem;
  for (const char* name : {"b.gguf", "a-00001-of-00002.gguf", "a-00002-of-00002.gguf"})
    std::ofstream(folder.path() / name) << "GGUF";
  EXPECT_EQ(models_at(folder.path()).size(), 2u);
  EXPECT_EQ(models_at(folder.path() / "b.gguf"), std::vector<fs::path>{folder.path() / "b.gguf"});

  const fs::path repository = folder.path() / "models--org--name";
  fs::create_directories(repository / "blobs");
  fs::create_directories(repository / "snapshots" / "abc");
  std::ofstream(repository / "snapshots" / "abc" / "config.json") << "{}";
  EXPECT_EQ(models_at(repository), std::vector<fs::path>{repository / "snapshots" / "abc"});
}

}  // namespace
}  // namespace assay
