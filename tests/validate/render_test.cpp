// Documents for programs: JSON, SARIF and JUnit say what was found, and stay well-formed whatever a file is called.
#include "runtime/validate/render.h"

#include "tests/validate/support.h"

namespace assay {
namespace {

Validation odd() {
  Validation out;
  out.path = "models/<a> & \"b\".gguf";
  out.findings.push_back({.severity = Severity::error,
                          .rule = "gguf.truncated",
                          .file = "models/<a> & \"b\".gguf",
                          .offset = 77,
                          .subject = "x]]>",
                          .message = "it <ends> & stops \x01",
                          .advice = "again"});
  out.findings.push_back({.severity = Severity::warning,
                          .rule = "gguf.trailing",
                          .file = "models/ä.gguf",
                          .message = "bytes follow",
                          .advice = "look"});
  return out;
}

TEST(Render, JsonHasEveryFindingInFull) {
  const std::vector<Validation> validations = {
      odd(), test::validated(test::fixture("models/nano-frankenstein/hf-sharded"), {.hash = true})};
  const auto json = parse_json(to_text(validations_json(validations)));
  ASSERT_TRUE(json);
  EXPECT_EQ(*json->find("schema")->string(), "assay.validate.v1");
  const Json::Array& models = *json->find("models")->array();
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].find("errors")->integer(), 1);
  EXPECT_EQ(models[0].find("warnings")->integer(), 1);
  const Json& finding = (*models[0].find("findings")->array())[0];
  EXPECT_EQ(*finding.find("rule")->string(), "gguf.truncated");
  EXPECT_EQ(finding.find("offset")->integer(), 77);
  EXPECT_EQ(models[1].find("hashes")->array()->size(), 3u);
  EXPECT_GT(models[1].find("quality")->find("parameters")->integer().value_or(0), 1000000);
}

TEST(Render, SarifNamesRulesLevelsAndPlaces) {
  const std::vector<Validation> validations = {odd()};
  const auto json = parse_json(to_text(validations_sarif(validations, "1.2.3")));
  ASSERT_TRUE(json);
  EXPECT_EQ(*json->find("version")->string(), "2.1.0");
  const Json& run = (*json->find("runs")->array())[0];
  EXPECT_EQ(run.find("tool")->find("driver")->find("rules")->array()->size(), all_rules().size());
  const Json& result = (*run.find("results")->array())[0];
  EXPECT_EQ(*result.find("level")->string(), "error");
  const Json* place = (*result.find("locations")->array())[0].find("physicalLocation");
  EXPECT_EQ(*place->find("artifactLocation")->find("uri")->string(), "models/%3Ca%3E%20%26%20%22b%22.gguf");
  EXPECT_EQ(place->find("region")->find("byteOffset")->integer(), 77);
}

TEST(Render, JunitFailsOnErrorsAndWithStrictOnWarnings) {
  const std::vector<Validation> validations = {odd(), Validation{}};
  const std::string lax = validations_junit(validations, false);
  EXPECT_NE(lax.find("tests=\"2\" failures=\"1\""), std::string::npos) << lax;
  EXPECT_NE(lax.find("name=\"no findings\"/>"), std::string::npos);
  EXPECT_NE(validations_junit(validations, true).find("tests=\"2\" failures=\"2\""), std::string::npos);
  // Nothing of a name can end an element: in text and attributes these characters do not occur bare.
  for (const char* bare : {"<a>", "& ", "<ends>", "\x01", "]]>"})
    EXPECT_EQ(lax.find(bare), std::string::npos) << bare << "\n" << lax;
}

}  // namespace
}  // namespace assay
