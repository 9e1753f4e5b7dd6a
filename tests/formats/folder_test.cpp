// What is opened in a folder, and what is said where nothing or too much is there.
#include <gtest/gtest.h>

#include "runtime/formats/shard_name.h"
#include "tests/formats/files.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

const char kConfig[] = R"({"model_type":"llama"})";

class Folder : public testing::Test {
 protected:
  fs::path at(std::string_view name) const { return folder_.path() / name; }
  void gguf(std::string_view name) const { test::write_small_gguf(at(name)); }
  void safetensors(std::string_view name, std::string_view tensor = "a") const {
    test::write_file(
        at(name), test::safetensors_file(
                      "{\"" + std::string(tensor) + "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4));
  }
  // The file that was opened, or the refusal.
  std::string answer() const {
    const auto model = open_model(folder_.path());
    return model ? model->files.front().path().filename().string() : model.error().message();
  }
  bool says(std::string_view text) const { return answer().find(text) != std::string::npos; }

  test::TemporaryFolder folder_;
};

TEST_F(Folder, OpensTheOnlyGguf) {
  gguf("m.Q4_K_M.gguf");
  gguf("mmproj-m.gguf");
  test::write_file(at("README.md"), "x");
  EXPECT_EQ(answer(), "m.Q4_K_M.gguf");
}

TEST_F(Folder, ListsSeveralGgufFiles) {
  gguf("m.Q4_K_M.gguf");
  gguf("m.Q8_0.gguf");
  EXPECT_TRUE(says("holds 2 GGUF models: m.Q4_K_M.gguf, m.Q8_0.gguf; name one")) << answer();
}

TEST_F(Folder, PrefersSafetensorsWithConfig) {
  gguf("m.gguf");
  safetensors("model.safetensors");
  test::write_file(at("config.json"), kConfig);
  EXPECT_EQ(answer(), "model.safetensors");
}

TEST_F(Folder, IgnoresASecondCopyOfTheWeights) {
  safetensors("consolidated.safetensors");
  safetensors("weights.safetensors");
  test::write_file(at("config.json"), kConfig);
  EXPECT_EQ(answer(), "weights.safetensors");
}

TEST_F(Folder, OpensConsolidatedWhenNothingElseIsThere) {
  safetensors("consolidated.safetensors");
  EXPECT_EQ(answer(), "consolidated.safetensors");
}

TEST_F(Folder, ListsSeveralSafetensorsFiles) {
  safetensors("a.safetensors");
  safetensors("b.safetensors");
  EXPECT_TRUE(says("holds 2 safetensors models: a.safetensors, b.safetensors")) << answer();
}

TEST_F(Folder, OpensACompleteSetWithoutItsIndexAndWarns) {
  for (int i = 1; i <= 2; ++i)
    safetensors("model-0000" + std::to_string(i) + "-of-00002.safetensors", "t" + std::to_string(i));
  const auto model = open_model(folder_.path());
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_EQ(model->tensors.size(), 2u);
  EXPECT_TRUE(test::has_rule(test::findings_of(folder_.path()), "index.missing"));
}

TEST_F(Folder, NamesAMissingShardWithoutIndex) {
  safetensors("model-00001-of-00002.safetensors");
  EXPECT_TRUE(says("model-00002-of-00002.safetensors: the file is one of 2 shards")) << answer();
}

TEST_F(Folder, NamesWhatIsThereWhenThereAreNoWeights) {
  test::write_file(at("config.json"), kConfig);
  test::write_file(at("tokenizer.json"), "{}");
  EXPECT_TRUE(
      says("no model.safetensors, no model.safetensors.index.json, no .gguf (it has config.json, tokenizer.json)"))
      << answer();
}

TEST_F(Folder, NamesAnEmptyFolder) {
  EXPECT_TRUE(says("(it has no files); download")) << answer();
}

TEST_F(Folder, NamesWeightsItDoesNotOpen) {
  test::write_file(at("pytorch_model.bin"), "PK\x03\x04");
  EXPECT_TRUE(says("only pytorch_model.bin; PyTorch pickles can run code")) << answer();
}

TEST_F(Folder, NamesExecutorchPrograms) {
  test::write_file(at("llama3_2.pte"), "x");
  EXPECT_TRUE(says("only llama3_2.pte; they are ExecuTorch programs")) << answer();
}

TEST_F(Folder, PointsToWeightsOneFolderBelow) {
  fs::create_directory(at("Q4_K_M"));
  gguf("Q4_K_M/m.gguf");
  EXPECT_TRUE(says("weights lie in its folders Q4_K_M: name one of them")) << answer();
}

TEST_F(Folder, NamesAConfigThatIsNotJson) {
  safetensors("model.safetensors");
  test::write_file(at("config.json"), "{\"model_type\": ");
  EXPECT_TRUE(says("config.json: config.json: the file is not valid JSON")) << answer();
}

TEST_F(Folder, TakesAnIndexOfAnotherName) {
  safetensors("x-00001-of-00001.safetensors");
  test::write_file(at("x.safetensors.index.json"), R"({"weight_map":{"a":"x-00001-of-00001.safetensors"}})");
  EXPECT_EQ(answer(), "x-00001-of-00001.safetensors");
}

}  // namespace
}  // namespace assay
