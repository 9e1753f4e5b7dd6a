// Looking rules up, and the table for readers.
#include "runtime/validate/rules.h"

#include <algorithm>
#include <array>

#include "runtime/validate/rules_table.h"

namespace assay {

std::span<const Rule> all_rules() {
  return validation::kRules;
}

const Rule* find_rule(std::string_view id) {
  const auto& rules = validation::kRules;
  const auto found = std::lower_bound(rules.begin(), rules.end(), id,
                                      [](const Rule& rule, std::string_view wanted) { return rule.id < wanted; });
  return found != rules.end() && found->id == id ? &*found : nullptr;
}

std::string_view name_of(Severity severity) {
  constexpr std::array<std::string_view, 3> kNames = {"error", "warning", "note"};
  return kNames[static_cast<std::size_t>(severity)];
}

namespace {

std::string_view level_of(std::string_view id) {
  for (const std::string_view level : {"numbers", "hash", "run"})
    if (id.starts_with(level) && id.substr(level.size()).starts_with('.')) return level;
  return "structure";
}

}  // namespace

std::string rules_markdown() {
  std::string out = "# Rules\n\nWhat `assay validate` can say, " + std::to_string(all_rules().size()) +
                    " rules. Made from rules_table.h by `assay validate --rules`; a test holds this page against it,\n"
                    "and breaks every rule with its fixture below `fixtures/corrupt`.\n\n"
                    "Errors make the exit code 1, warnings do so with `--strict`, notes never.\n\n"
                    "| Rule | Severity | Level | What it says | Fixture |\n|---|---|---|---|---|\n";
  for (const Rule& rule : all_rules()) {
    const std::string fixture = rule.fixture.empty() ? "made by the test" : "`" + std::string(rule.fixture) + "`";
    out.append("| `")
        .append(rule.id)
        .append("` | ")
        .append(name_of(rule.severity))
        .append(" | ")
        .append(level_of(rule.id))
        .append(" | ");
    out.append(rule.what).append(" | ").append(fixture).append(" |\n");
  }
  return out;
}

}  // namespace assay
