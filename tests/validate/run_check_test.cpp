// Level run: real backends agree on good models, and logits that must not be are named.
#include "runtime/validate/run_check.h"

#include "runtime/validate/subject.h"
#include "tests/validate/support.h"

namespace assay {
namespace {

using validation::check_run;
using validation::Subject;

// Findings of a run on a real model whose logits `answer` makes up from the position, the token and the vocabulary.
std::vector<Finding> run_with(std::vector<std::function<float(std::size_t position, std::size_t token)>> answers) {
  const auto model = open_model(test::fixture("models/nano-frankenstein/gguf/nano-frankenstein-Q8_0.gguf"));
  EXPECT_TRUE(model);
  std::vector<RunBackend> backends;
  for (std::size_t i = 0; i < answers.size(); ++i)
    backends.push_back(
        {"backend " + std::to_string(i),
         [answer = answers[i]](const Model& bound, std::span<const std::int32_t> tokens) -> Result<std::vector<float>> {
           std::vector<float> logits;
           for (std::size_t position = 0; position < tokens.size(); ++position)
             for (std::size_t token = 0; token < bound.config.vocabulary; ++token)
               logits.push_back(answer(position, token));
           return logits;
         }});
  AllFindings sink;
  Subject subject(*model, sink);
  check_run(subject, backends);
  return sink.findings();
}

float honest(std::size_t position, std::size_t token) {
  return static_cast<float>((position * 131 + token * 31) % 97);
}

TEST(RunCheck, SaysNothingOfBackendsThatAgree) {
  EXPECT_TRUE(run_with({honest, honest}).empty());
  EXPECT_TRUE(
      run_with({honest, [](std::size_t p, std::size_t t) { return honest(p, t) + 0.1f * static_cast<float>(t % 3); }})
          .empty());
}

TEST(RunCheck, ABackendThatLiesIsNamed) {
  const auto findings = run_with({honest, [](std::size_t p, std::size_t t) { return honest(p, t + 1); }});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].rule, "run.disagree");
  EXPECT_EQ(findings[0].subject, "backend 1");
}

TEST(RunCheck, NamesLogitsThatAreNotFinite) {
  const auto findings = run_with({[](std::size_t p, std::size_t t) {
                                    return p == 2 && t == 7 ? std::numeric_limits<float>::infinity() : honest(p, t);
                                  },
                                  honest});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].rule, "run.not-finite");
  EXPECT_NE(findings[0].message.find("position 2"), std::string::npos) << findings[0].message;
}

TEST(RunCheck, NamesUniformAndRepeatedLogits) {
  const auto uniform = run_with({[](std::size_t p, std::size_t t) { return p == 3 ? 1.0f : honest(p, t); }});
  ASSERT_EQ(uniform.size(), 1u);
  EXPECT_EQ(uniform[0].rule, "run.uniform");
  const auto repeated = run_with({[](std::size_t, std::size_t t) { return honest(0, t); }});
  ASSERT_EQ(repeated.size(), 1u);
  EXPECT_EQ(repeated[0].rule, "run.repeats");
}

TEST(RunCheck, NamesABackendThatCannot) {
  const auto model = open_model(test::fixture("models/nano-frankenstein/gguf/nano-frankenstein-Q8_0.gguf"));
  ASSERT_TRUE(model);
  AllFindings sink;
  Subject subject(*model, sink);
  const RunBackend broken{"broken", [](const Model&, std::span<const std::int32_t>) -> Result<std::vector<float>> {
                            return Error{Code::memory, "context", "no memory"};
                          }};
  check_run(subject, std::vector{broken, test::run_backend(BackendKind::cpu)});
  ASSERT_EQ(sink.findings().size(), 1u);
  EXPECT_EQ(sink.findings()[0].rule, "run.load");
}

}  // namespace
}  // namespace assay
