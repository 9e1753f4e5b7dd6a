// The catalogue: its built-in rows are true as far as that can be held against something, and a user's file changes
// them.
#include "runtime/registry/catalogue.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "runtime/formats/model_file.h"
#include "runtime/model/model.h"
#include "runtime/registry/yaml.h"
#include "tests/support/data.h"

namespace assay {
namespace {

using test::fixture;

class CatalogueTest : public ::testing::Test {
 protected:
  Result<Catalogue> with(const std::string& text) {
    std::ofstream(file_) << text;
    return Catalogue::open(file_);
  }
  test::TemporaryFolder folder_;
  const std::filesystem::path file_ = folder_.path() / "catalogue.yaml";
};

TEST_F(CatalogueTest, BuiltInRowsHaveAllThatAnApplicationShows) {
  const auto catalogue = Catalogue::open();
  ASSERT_TRUE(catalogue) << catalogue.error().message();
  std::set<std::string> ids;
  for (const CatalogueRow& row : catalogue->rows()) {
    SCOPED_TRACE(row.id);
    EXPECT_TRUE(ids.insert(row.id).second);
    EXPECT_FALSE(row.name.empty() || row.description.empty() || row.provider.empty() || row.licence.empty() ||
                 row.tags.empty() || row.format.empty());
    EXPECT_GT(row.parameters, 0u);
    EXPECT_EQ(row.size, row.parameters < 2'500'000'000    ? SizeClass::small
                        : row.parameters < 10'000'000'000 ? SizeClass::medium
                                                          : SizeClass::large);
    if (row.availability != Availability::available) continue;
    EXPECT_FALSE(row.architecture.empty() || row.quantization.empty());
    EXPECT_TRUE(row.page.ends_with(row.repository));
    EXPECT_GT(row.bytes, 50'000'000u);
    EXPECT_GT(row.memory_bytes, row.bytes);
    EXPECT_FALSE(row.verified) << "a row is verified when somebody has looked at the repository";
  }
  EXPECT_EQ(ids.size(), 27u);
  ASSERT_NE(catalogue->recommended(), nullptr);
  EXPECT_EQ(catalogue->recommended()->id, "mistral-7b-instruct-v0.2");
}

TEST_F(CatalogueTest, BundledRowsAreTheFixturesTheyName) {
  const auto catalogue = Catalogue::open();
  int bundled = 0;
  for (const CatalogueRow& row : catalogue->rows()) {
    if (row.availability != Availability::bundled) continue;
    SCOPED_TRACE(row.id);
    ++bundled;
    const auto file = open_model(fixture(row.path));
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_EQ(file->file_bytes(), row.bytes);
    EXPECT_EQ(file->is_mlx ? "mlx" : file->kind == FileKind::gguf ? "gguf" : "safetensors", row.format);
    const auto model = bind_model(*file);
    ASSERT_TRUE(model);
    EXPECT_EQ(model->config.arch->name, row.architecture);
    EXPECT_TRUE(row.runs_here());
  }
  EXPECT_EQ(bundled, 6);
}

TEST_F(CatalogueTest, RowsWithoutWeightsSayWhyAndNameRowsThatExist) {
  const auto catalogue = Catalogue::open();
  int unavailable = 0;
  for (const CatalogueRow& row : catalogue->rows()) {
    if (row.availability != Availability::unavailable) continue;
    ++unavailable;
    EXPECT_NE(row.reason.find(".pte"), std::string::npos);
    EXPECT_FALSE(row.instead.empty());
    for (const std::string& id : row.instead) {
      ASSERT_NE(catalogue->find(id), nullptr) << id;
      EXPECT_EQ(catalogue->find(id)->format, "gguf");
      EXPECT_NE(row.refusal().message().find(id), std::string::npos);
    }
  }
  EXPECT_EQ(unavailable, 2);
}

TEST_F(CatalogueTest, RowsAreFoundByIdInAnyCaseAndByFile) {
  const auto catalogue = Catalogue::open();
  ASSERT_NE(catalogue->find("QWEN-3-4B"), nullptr);
  EXPECT_EQ(catalogue->find("qwen-3"), nullptr);
  EXPECT_EQ(catalogue->find_file("qwen/qwen3-4b-gguf", "Qwen3-4B-Q4_K_M.gguf")->id, "qwen-3-4b");
  EXPECT_EQ(catalogue->find_file("Qwen/Qwen3-4B-GGUF", "Qwen3-4B-Q8_0.gguf"), nullptr);
  EXPECT_EQ(catalogue->find_file("mlx-community/gemma-2-2b-it-4bit", "")->id, "gemma-2-2b-it-mlx");
  EXPECT_NE(catalogue->suggestion("qwen-3-4").find("qwen-3-4b"), std::string::npos);
  EXPECT_NE(catalogue->suggestion("qwn-3-4b").find("qwen-3-4b"), std::string::npos);
  EXPECT_EQ(catalogue->suggestion("something-else-entirely"), "");
}

TEST_F(CatalogueTest, UsersFileReplacesFieldsAndAddsRows) {
  const auto catalogue = with(
      "models:\n  - id: qwen-3-4b\n    file: Qwen3-4B-Q8_0.gguf\n    bytes: 4.3GB\n  - id: my-model\n    repository: "
      "me/my-model-GGUF\n    tags: [mine]\n");
  ASSERT_TRUE(catalogue) << catalogue.error().message();
  EXPECT_EQ(catalogue->find("qwen-3-4b")->file, "Qwen3-4B-Q8_0.gguf");
  EXPECT_EQ(catalogue->find("qwen-3-4b")->bytes, 4'300'000'000u);
  EXPECT_EQ(catalogue->find("qwen-3-4b")->licence, "Apache-2.0");
  EXPECT_EQ(catalogue->find("my-model")->name, "my-model");
  EXPECT_EQ(catalogue->rows().size(), 28u);
  EXPECT_EQ(Catalogue::open(folder_.path() / "none.yaml")->rows().size(), 27u);
}

TEST_F(CatalogueTest, MistakesOfAUsersFileAreAllToldWithTheirPlaces) {
  const auto catalogue = with(
      "models:\n  - id: a\n    repository: one\n    byts: 5\n  - name: no id\n  - id: b\n    availability: bundled\n   "
      " size: huge\n");
  ASSERT_FALSE(catalogue);
  EXPECT_EQ(catalogue.error().code, Code::malformed);
  const std::string text = catalogue.error().message();
  for (const char* part : {":2:5: models: a: repository must be ORG/REPO",
                           ":4:5: models[a].byts: ", "did you mean \"bytes\"", ":5:5: models: a row needs an id",
                           ":6:5: models: b: a bundled row needs path", ":8:11: models[b].size: must be one of"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  for (const char* wrong : {"", "models: 5", "rows: []", "models: []\nother: 1"}) EXPECT_FALSE(with(wrong)) << wrong;
}

TEST_F(CatalogueTest, ArchitecturesThatThisBuildDoesNotComputeAreTold) {
  const auto catalogue = Catalogue::open();
  for (const char* id : {"qwen-3-4b", "phi-2", "deepseek-vl2-tiny", "pixtral-12b", "glm-edge-v-5b"})
    EXPECT_TRUE(catalogue->find(id)->runs_here()) << id;
  CatalogueRow other;
  other.architecture = "mamba";
  EXPECT_FALSE(other.runs_here());
}

}  // namespace
}  // namespace assay
