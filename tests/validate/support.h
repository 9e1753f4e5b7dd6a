// Validations for tests: with two real backends, and questions about their findings.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/engine/session.h"
#include "runtime/validate/rules.h"
#include "runtime/validate/validate.h"
#include "tests/support/data.h"

namespace assay::test {

inline RunBackend run_backend(BackendKind kind) {
  return {std::string(name_of(kind)),
          [=](const Model& model, std::span<const std::int32_t> tokens) -> Result<std::vector<float>> {
            ASSAY_TRY(Session session, Session::open(model, {.backend = kind,
                                                             .threads = 1,
                                                             .context = static_cast<std::uint32_t>(tokens.size())}));
            ASSAY_TRY(const std::span<const float> logits, session.feed(tokens, LogitsWanted::all));
            return std::vector<float>(logits.begin(), logits.end());
          }};
}

inline Validation validated(const std::filesystem::path& path, ValidateOptions options = {}) {
  if (options.run) options.backends = {run_backend(BackendKind::reference), run_backend(BackendKind::cpu)};
  auto validation = validate(path, options);
  EXPECT_TRUE(validation) << (validation ? "" : validation.error().message());
  return validation ? std::move(*validation) : Validation{};
}

inline const Finding* find(const Validation& validation, std::string_view rule) {
  const auto found = std::find_if(validation.findings.begin(), validation.findings.end(),
                                  [&](const Finding& finding) { return finding.rule == rule; });
  return found == validation.findings.end() ? nullptr : &*found;
}

inline std::string told(const Validation& validation) {
  std::string out;
  for (const Finding& finding : validation.findings)
    out += std::string(name_of(finding.severity)) + " " + finding.rule + ": " + finding.to_error().message() + "\n";
  return out;
}

// What holds for every finding of every file.
inline void expect_sound(const Validation& validation) {
  for (const Finding& finding : validation.findings) {
    const Rule* rule = find_rule(finding.rule);
    ASSERT_NE(rule, nullptr) << finding.rule << " is not in the table";
    EXPECT_EQ(rule->severity, finding.severity) << finding.rule;
    EXPECT_FALSE(finding.message.empty()) << finding.rule;
    EXPECT_FALSE(finding.file.empty()) << finding.rule;
    EXPECT_EQ(finding.message.find('\n'), std::string::npos) << finding.rule << ": one sentence, one line";
  }
}

}  // namespace assay::test
