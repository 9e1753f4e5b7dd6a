// The face of assay: version, help, exit codes, messages.
#include "tests/apps/command.h"

namespace assay {
namespace {

using test::assay;
using test::expect_error;

TEST(Assay, VersionTellsCommitCompilerInstructionSetsAndVulkan) {
  const auto outcome = assay({"--version"});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* part : {"assay ", "commit ", "compiler ", "isa ", "vulkan "})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part;
  EXPECT_EQ(outcome.err, "");
}

TEST(Assay, HelpTeachesWithExamplesAndTellsExitCodes) {
  const auto outcome = assay({"--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* part : {"Examples:", "Exit codes:", "130", "info", "synth", "tokenize", "quantize"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part;
  for (const char* command : {"info", "synth", "tokenize", "quantize"}) {
    const auto help = assay({command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    EXPECT_NE(help.out.find("assay " + std::string(command)), std::string::npos) << command << " has no example";
  }
}

TEST(Assay, WrongUsageIsExitCode2OnStderr) {
  expect_error(assay({}), 2, "subcommand");
  expect_error(assay({"nonsense"}), 2, "");
  expect_error(assay({"tokenize"}), 2, "required");
  expect_error(assay({"info", "x.gguf", "--nonsense"}), 2, "");
  expect_error(assay({"info", "x.gguf", "--kv", "q2"}), 2, "");
  expect_error(assay({"info", "x.gguf", "--dump", "y"}), 2, "--tensor");
  expect_error(assay({"synth", "llama-3.2-1b:Q4_K_M"}), 2, "OUT");
  expect_error(assay({"synth", "gpt-5:Q8_0", "x.gguf"}), 2, "llama-3.2-1b");
  expect_error(assay({"synth", "smollm-135m:Q9", "x.gguf"}), 2, "Q4_K_M");
  expect_error(assay({"synth", "smollm-135m:Q8_0", "x", "--shards", "0"}), 2, "");
}

TEST(Assay, UnreadableIsExitCode3InOneSentence) {
  expect_error(assay({"info", "/nonexistent/model.gguf"}), 3, "/nonexistent/model.gguf");
  expect_error(assay({"info", "/dev/null"}), 3, "/dev/null");
  expect_error(assay({"info", ASSAY_SOURCE_DIR "/CMakeLists.txt"}), 3, "CMakeLists.txt");
}

}  // namespace
}  // namespace assay
