// The table of every rule a finding can carry: its id, how severe it is, what it says, and the fixture that breaks it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "runtime/formats/finding.h"

namespace assay {

// `fixture` lies below fixtures/corrupt; empty where no file can break the rule on its own, and a test does.
struct Rule {
  std::string_view id;
  Severity severity;
  std::string_view what;
  std::string_view fixture;
};

// Sorted by id.
std::span<const Rule> all_rules();
const Rule* find_rule(std::string_view id);

// RULES.md, the table for readers.
std::string rules_markdown();

std::string_view name_of(Severity severity);  // "error", "warning", "note"

}  // namespace assay
