// assay compare: is the new result worse than the base?
#include <fmt/format.h>

#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/results_parts.h"
#include "bench/harness/compare.h"
#include "bench/harness/lines_file.h"

namespace assay {

namespace {

struct CompareArguments {
  std::string base, now, format = "text", out;
  CompareOptions options;
  bool json = false;
};

constexpr const char* kFooter =
    R"(BASE and NEW are files of results (ours, llama-bench's or Google Benchmark's), or what the store knows them by: a tag, a commit's
beginning, a day (2026-11-21), a run id, or latest and previous.

Speeds are compared where model, settings and machine are the same: a rank test over rounds (Mann-Whitney U), corrected for the
number of metrics (Holm), and a change counts when it is significant and above --min-effect. Output, bytes per token, planned
memory and perplexity are compared across machines too.

Examples:
  assay compare main HEAD.jsonl
  assay compare previous latest --format md >> "$GITHUB_STEP_SUMMARY"
  assay compare reports/baseline/facts.jsonl new.jsonl --facts-only

Exit codes: 0 no regression, 1 regression, 2 usage, 3 not comparable (other host, too few rounds) or unreadable.)";

// The outcome in red or green, after everything from files was made safe.
std::string coloured(std::string text, Outcome outcome) {
  const std::string name(kOutcomeNames[static_cast<std::size_t>(outcome)]);
  const std::size_t at = text.rfind("\n" + name + ": ") + 1;
  return text.replace(at, name.size(), (outcome == Outcome::no_regression ? "\x1b[32m" : "\x1b[31m") + name + "\x1b[0m");
}

std::string rendered(const Comparison& comparison, const std::string& format) {
  if (format == "md") return comparison_markdown(comparison);
  if (format == "json") return to_text(to_json(comparison), 2) + "\n";
  if (format == "junit") return comparison_junit(comparison);
  return comparison_text(comparison);
}

int run_compare(const CompareArguments& arguments) {
  const auto base = find_results(arguments.base);
  if (!base) return report_error(base.error());
  const auto now = find_results(arguments.now);
  if (!now) return report_error(now.error());
  Comparison comparison = compare_results(*base, *now, arguments.options);
  comparison.base_name = arguments.base;
  comparison.new_name = arguments.now;
  const std::string format = arguments.json ? "json" : arguments.format;
  const std::string text = rendered(comparison, format);
  if (arguments.out.empty()) {
    std::string shown = format == "text" ? terminal_lines(text) : text;
    if (format == "text" && stdout_has_colour()) shown = coloured(std::move(shown), comparison.outcome);
    fmt::print("{}", shown);
  } else if (const auto written = write_text_file(arguments.out, text); !written) {
    return report_error(written.error());
  }
  switch (comparison.outcome) {
    case Outcome::no_regression: return kExitYes;
    case Outcome::regression: return kExitNo;
    case Outcome::not_comparable: break;
  }
  return kExitCouldNot;
}

}  // namespace

void add_compare(Command app, int& exit_code) {
  const Command command = app.add_command("compare", "Tell whether new results are worse than a base; a gate for continuous integration");
  const auto arguments = std::make_shared<CompareArguments>();
  command.footer(kFooter);
  command.add_option("BASE", arguments->base, "What to compare with").required();
  command.add_option("NEW", arguments->now, "What is new").required();
  command.add_option("--min-effect", arguments->options.min_effect_percent, "Percent from which a change counts").between(0.0, 1000.0).shows_default();
  command.add_option("--alpha", arguments->options.alpha, "Chance of a false alarm over all metrics together").between(1e-6, 0.5).shows_default();
  command.add_flag("--facts-only", arguments->options.facts_only, "Leave speeds alone and compare what no machine changes");
  command.add_flag("--ignore-output", arguments->options.ignores_output, "A changed output is told and no regression");
  command.add_option("--format", arguments->format, "text, md, json, junit").one_of({"text", "md", "json", "junit"}).shows_default();
  command.add_flag("--json", arguments->json, "The same as --format json");
  command.add_option("-o,--output", arguments->out, "Write to this file").value_name("FILE");
  command.when_given([arguments, &exit_code] { exit_code = run_compare(*arguments); });
}

}  // namespace assay
