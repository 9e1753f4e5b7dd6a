// Every rule of the table: its fixture breaks it, and the page for readers says the same as the table.
#include "tests/validate/support.h"

namespace assay {

// Found by GoogleTest beside the type.
void PrintTo(const Rule& rule, std::ostream* out);
void PrintTo(const Rule& rule, std::ostream* out) {
  *out << rule.id;
}

namespace {

using test::fixture;

std::string test_name(const testing::TestParamInfo<Rule>& info) {
  std::string name(info.param.id);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

std::vector<Rule> rules_with_fixture(bool with) {
  std::vector<Rule> out;
  for (const Rule& rule : all_rules())
    if (rule.fixture.empty() != with) out.push_back(rule);
  return out;
}

class EveryRule : public testing::TestWithParam<Rule> {};

TEST_P(EveryRule, IsBrokenByItsFixture) {
  const Rule& rule = GetParam();
  const auto path = fixture("corrupt/" + std::string(rule.fixture));
  ASSERT_TRUE(std::filesystem::exists(path)) << path;
  const Validation validation = test::validated(path, {.hash = true, .run = rule.id.starts_with("run.")});
  const Finding* finding = test::find(validation, rule.id);
  ASSERT_NE(finding, nullptr) << path << " says:\n" << test::told(validation);
  EXPECT_EQ(finding->severity, rule.severity);
  EXPECT_FALSE(finding->advice.empty() && rule.id != "file.open");
  test::expect_sound(validation);
}

INSTANTIATE_TEST_SUITE_P(Rules, EveryRule, testing::ValuesIn(rules_with_fixture(true)), test_name);

// Rules that no file on its own can break, and the tests that do. A new one needs a line here, and its test.
TEST(Rules, WithoutAFixtureAreBrokenByATestOfTheirOwn) {
  const std::vector<std::string_view> tested = {
      "file.changed",       // Shrink.*
      "file.missing",       // OpenModel.NamesAPathThatIsNotThere: validate() answers not_found before it opens anything
      "folder.read",        // OpenModel.NamesAFolderThatCannotBeRead
      "run.disagree",       // RunCheck.ABackendThatLies
      "safetensors.count",  // Memory.*
  };
  std::vector<std::string_view> without;
  for (const Rule& rule : rules_with_fixture(false)) without.push_back(rule.id);
  EXPECT_EQ(without, tested);
}

// A template in a file of its own, or one of several by name; what Assay does not render is no defect of the file.
TEST(Rules, ChatTemplatesOfFoldersAreReadByTheParser) {
  const test::TemporaryFolder folder;
  const std::filesystem::path copy = folder.path() / "model";
  std::filesystem::copy(fixture("models/nano-frankenstein/hf-sharded"), copy);
  const auto finding = [&] {
    const Validation validation = test::validated(copy);
    const Finding* found = test::find(validation, "tokenizer.chat-template.broken");
    return found ? found->message : std::string();
  };
  EXPECT_EQ(finding(), "");
  std::ofstream(copy / "tokenizer_config.json") << R"({"chat_template": [{"name": "default", "template": "fine"}, {"name": "tool_use", "template": "{% if x %}"}]})";
  EXPECT_NE(finding().find("line 1: the block that begins here has no end: endif is missing"), std::string::npos) << finding();
  std::ofstream(copy / "chat_template.jinja") << "\n{{ 1 + }}";
  EXPECT_NE(finding().find("line 2: an expression is missing"), std::string::npos) << finding();
  std::ofstream(copy / "chat_template.jinja") << "{% include 'x' %}";
  EXPECT_EQ(finding(), "");
}

TEST(Rules, AreSortedAndFound) {
  const auto rules = all_rules();
  for (std::size_t i = 1; i < rules.size(); ++i) EXPECT_LT(rules[i - 1].id, rules[i].id);
  for (const Rule& rule : rules) EXPECT_EQ(find_rule(rule.id), &rule);
  EXPECT_EQ(find_rule("no.such.rule"), nullptr);
}

TEST(Rules, ThePageSaysWhatTheTableSays) {
  EXPECT_EQ(test::read_text(std::filesystem::path(ASSAY_SOURCE_DIR) / "runtime/validate/RULES.md"), rules_markdown())
      << "run: assay validate --rules > runtime/validate/RULES.md";
}

// Foreign files are told by name, not only as unknown.
TEST(Rules, NameWhatLiesUnderAModelsName) {
  const std::pair<const char*, const char*> cases[] = {{"file.kind-pickle.safetensors", "pickle"},
                                                       {"file.kind-zip.gguf", "ZIP"},
                                                       {"file.kind-executorch.gguf", "ExecuTorch"},
                                                       {"file.html.gguf", "web page"},
                                                       {"file.lfs-pointer.safetensors", "Git LFS pointer"}};
  for (const auto& [file, word] : cases) {
    const Validation validation = test::validated(fixture("corrupt/rules/" + std::string(file)));
    ASSERT_EQ(validation.count(Severity::error), 1u) << file;
    EXPECT_NE(validation.findings[0].message.find(word), std::string::npos) << validation.findings[0].message;
  }
}

TEST(Rules, AllDefectsOfAFileAreTold) {
  // One file, three places: the others are not hidden by the first.
  const Validation validation = test::validated(fixture("corrupt/rules/model.quantization"));
  EXPECT_NE(test::find(validation, "model.quantization"), nullptr) << test::told(validation);
  const Validation sharded = test::validated(fixture("corrupt/sharded/listed_but_absent"));
  EXPECT_NE(test::find(sharded, "index.tensor-missing"), nullptr);
  const Validation split = test::validated(fixture("corrupt/rules/gguf.split.count"));
  EXPECT_EQ(split.count(Severity::error), 1u) << test::told(split);
}

TEST(Rules, PackedWeightsOfOtherToolsAreRefusedByNameWhenBound) {
  const auto model = open_model(fixture("corrupt/rules/model.quantization"));
  ASSERT_TRUE(model);
  const auto bound = bind_model(*model);
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().code, Code::unsupported);
  EXPECT_NE(bound.error().detail.find("GPTQ"), std::string::npos) << bound.error().detail;
  EXPECT_NE(bound.error().detail.find("download the model as GGUF"), std::string::npos) << bound.error().detail;
}

}  // namespace
}  // namespace assay
