// Every malformed file of fixtures/corrupt, held against what its manifest expects.
#include <gtest/gtest.h>

#include <cctype>

#include "tests/formats/files.h"

namespace assay {
namespace {

struct Case {
  std::string folder;
  std::string name;  // of the file, or of the folder for sharded models
  bool is_container = true;
  std::string expect;
  std::string what;
};

void PrintTo(const Case& one, std::ostream* out) {
  *out << one.name << " (" << one.what << ")";
}

std::string text_at(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  return value != nullptr && value->string() != nullptr ? *value->string() : "";
}

std::vector<Case> cases(const std::string& folder) {
  std::vector<Case> out;
  const Json manifest = test::read_json(test::fixture("corrupt/" + folder + "/manifest.json"));
  for (const Json& entry : *manifest.array()) {
    const std::string file = text_at(entry, "file");
    const std::string rule = text_at(entry, "rule");
    // Sharded cases carry no level: what their index rules break is the container's, the rest the model's.
    const bool is_container = file.empty() ? rule.starts_with("index") : text_at(entry, "level") == "container";
    out.push_back({folder, file.empty() ? text_at(entry, "dir") : file, is_container, text_at(entry, "expect"),
                   text_at(entry, "what")});
  }
  return out;
}

std::string test_name(const testing::TestParamInfo<Case>& info) {
  std::string name = std::filesystem::path(info.param.name).stem().string();
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

class Corrupt : public testing::TestWithParam<Case> {};

TEST_P(Corrupt, IsAnsweredAsItsManifestExpects) {
  const Case& one = GetParam();
  const auto path = test::fixture("corrupt/" + one.folder + "/" + one.name);
  const auto model = open_model(path);
  const auto findings = test::findings_of(path);
  if (one.expect == "accept") {
    ASSERT_TRUE(model) << model.error().message();
    for (const Finding& finding : findings) EXPECT_EQ(finding.severity, Severity::note) << finding.to_error().message();
  } else if (one.expect == "reject" && one.is_container) {
    ASSERT_FALSE(model);
  } else if (one.expect == "reject_or_warn" && one.is_container) {
    EXPECT_FALSE(findings.empty());
  }
  if (model) return;

  const Error& error = model.error();
  EXPECT_NE(error.file.find(one.name), std::string::npos) << error.message();
  EXPECT_FALSE(error.detail.empty());
  // An empty file has no field; a shard or a field that is not there has no offset.
  const bool is_whole_file = error.detail.starts_with("the file is empty");
  EXPECT_TRUE(!error.subject.empty() || is_whole_file) << error.message();
  EXPECT_TRUE(error.offset || error.code == Code::not_found || error.code == Code::missing ||
              error.code == Code::duplicate)
      << error.message();
  // The collecting sink hears the same error first.
  ASSERT_FALSE(findings.empty());
  const auto first = std::find_if(findings.begin(), findings.end(),
                                  [](const Finding& finding) { return finding.severity == Severity::error; });
  ASSERT_NE(first, findings.end());
  EXPECT_EQ(first->to_error().message(), error.message());
  EXPECT_FALSE(first->rule.empty());
  EXPECT_FALSE(first->advice.empty()) << error.message();
}

INSTANTIATE_TEST_SUITE_P(Gguf, Corrupt, testing::ValuesIn(cases("gguf")), test_name);
INSTANTIATE_TEST_SUITE_P(Safetensors, Corrupt, testing::ValuesIn(cases("safetensors")), test_name);
INSTANTIATE_TEST_SUITE_P(Sharded, Corrupt, testing::ValuesIn(cases("sharded")), test_name);

}  // namespace
}  // namespace assay
