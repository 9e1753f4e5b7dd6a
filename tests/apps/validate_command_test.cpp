// assay validate as a user meets it: text, documents, exit codes, several paths, progress.
#include "tests/apps/command.h"

namespace assay {
namespace {

using test::assay;
using test::expect_error;
using test::fixture;

const std::string kGood = fixture("models/nano-frankenstein/gguf/nano-frankenstein-Q8_0.gguf").string();
const std::string kBad = fixture("corrupt/gguf/q8_0_scale_nan.gguf").string();
const std::string kWarned = fixture("corrupt/gguf/trailing_garbage.gguf").string();

TEST(ValidateCommand, AnswersYesForAGoodModelAtEveryLevel) {
  const auto outcome = assay({"validate", kGood, "--level", "structure,numbers,hash,run", "--progress", "none"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  for (const char* part :
       {"good: 0 errors, 0 warnings", "bits per weight", "expected quality", "an estimate", "memory"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part;
  EXPECT_EQ(outcome.err, "");
}

TEST(ValidateCommand, NamesRulePlaceAndAdvice) {
  const auto outcome = assay({"validate", kBad, "--progress", "none"});
  EXPECT_EQ(outcome.exit_code, 1);
  for (const char* part : {"numbers.scale", "q8_0_scale_nan.gguf at byte ", "output.weight", "-> ", "bad: "})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << "\n" << outcome.out;
  EXPECT_EQ(assay({"validate", kBad, "--level", "structure", "--progress", "none"}).exit_code,
            0);  // it lies in the numbers
  const auto brief = assay({"validate", kBad, "--no-advice", "--progress", "none"});
  EXPECT_EQ(brief.out.find("-> "), std::string::npos);
}

TEST(ValidateCommand, WarningsCountWithStrictOnly) {
  EXPECT_EQ(assay({"validate", kWarned, "--progress", "none"}).exit_code, 0);
  EXPECT_EQ(assay({"validate", kWarned, "--strict", "--progress", "none"}).exit_code, 1);
}

TEST(ValidateCommand, TakesSeveralPathsAndSaysWhichCannotBeRead) {
  const auto both = assay({"validate", kGood, kBad, "--json", "--progress", "none"});
  EXPECT_EQ(both.exit_code, 1);
  const auto json = parse_json(both.out);
  ASSERT_TRUE(json);
  EXPECT_EQ(json->find("models")->array()->size(), 2u);
  const auto missing = assay({"validate", kGood, "/nonexistent.gguf", "--progress", "none"});
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_NE(missing.out.find("good: "), std::string::npos);
  EXPECT_NE(missing.err.find("/nonexistent.gguf"), std::string::npos);
}

TEST(ValidateCommand, WritesDocumentsForPrograms) {
  const test::TemporaryFolder folder;
  const std::string out = folder.path() / "report";
  EXPECT_EQ(assay({"validate", kBad, "--format", "sarif", "-o", out, "--progress", "none"}).exit_code, 1);
  EXPECT_NE(test::read_text(out).find("\"ruleId\": \"numbers.scale\""), std::string::npos);
  EXPECT_EQ(assay({"validate", kBad, "--format", "junit", "-o", out, "--progress", "none"}).exit_code, 1);
  EXPECT_TRUE(test::read_text(out).starts_with("<?xml"));
  expect_error(assay({"validate", kBad, "--format", "json", "-o", "/nonexistent/x", "--progress", "none"}), 3,
               "/nonexistent/x");
}

TEST(ValidateCommand, ChecksHashes) {
  expect_error(assay({"validate", kGood, "--sha256", "abc", "--progress", "none"}), 2, "64 hex digits");
  const auto wrong = assay({"validate", kGood, "--sha256", std::string(64, '0'), "--progress", "none"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_NE(wrong.out.find("hash.mismatch"), std::string::npos);
}

TEST(ValidateCommand, ShowsProgressOnRequest) {
  const auto outcome = assay({"validate", fixture("models/nano-frankenstein/hf-sharded").string(), "--level",
                              "numbers,hash", "--progress", "json"});
  EXPECT_NE(outcome.err.find("\"event\":\"progress\""), std::string::npos) << outcome.err;
}

TEST(ValidateCommand, WrongUsageIsExitCode2) {
  expect_error(assay({"validate"}), 2, "PATH");
  expect_error(assay({"validate", kGood, "--level", "nonsense"}), 2, "");
  expect_error(assay({"validate", kGood, "-o", "x"}), 2, "--format");
}

TEST(ValidateCommand, PrintsTheRules) {
  const auto outcome = assay({"validate", "--rules"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.out.find("| `gguf.string.past-end` | error |"), std::string::npos);
}

}  // namespace
}  // namespace assay
