// assay report: results as one page.
#include "reports/render/report.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/results_parts.h"
#include "bench/harness/lines_file.h"

namespace assay {

namespace {

struct ReportArguments {
  std::vector<std::string> results;
  std::string format, out, title;
};

constexpr const char* kFooter =
    R"(RESULTS are files of results, or what the store knows them by: a tag, a commit, a date, a run id, latest (see assay compare --help).
The HTML page is one file that loads nothing: it opens anywhere, light or dark, on a phone and on paper.

Examples:
  assay report latest -o report.html
  assay report main HEAD --title "Nightly" -o report.html    several results: a history over their commits
  assay report results.jsonl --format md
  assay report results.jsonl -o results.csv                  the name decides the format)";

// The format asked for, else what the file's name says, else HTML for a file and Markdown for the terminal.
Result<ReportFormat> format_of(const ReportArguments& arguments) {
  if (!arguments.format.empty()) return *report_format_from_name(arguments.format);
  const std::string extension = std::filesystem::path(arguments.out).extension().string();
  if (arguments.out.empty()) return ReportFormat::md;
  if (extension == ".xml") return ReportFormat::junit;
  if (extension == ".html" || extension == ".htm") return ReportFormat::html;
  if (const auto format = report_format_from_name(extension.empty() ? "" : extension.substr(1))) return *format;
  return Error{Code::usage, "--output", fmt::format("\"{}\" does not say which format; give --format html, md, json, csv or junit", arguments.out)};
}

int run_report(const ReportArguments& arguments) {
  const auto format = format_of(arguments);
  if (!format) return report_error(format.error());
  std::vector<CaseRun> records;
  for (const std::string& name : arguments.results) {
    auto found = find_results(name);
    if (!found) return report_error(found.error());
    records.insert(records.end(), std::make_move_iterator(found->begin()), std::make_move_iterator(found->end()));
  }
  Report report = make_report(records);
  if (!arguments.title.empty()) report.title = arguments.title;
  const std::string text = render(report, *format);
  if (arguments.out.empty()) return fmt::print("{}", text), kExitYes;
  if (const auto written = write_text_file(arguments.out, text); !written) return report_error(written.error());
  std::fprintf(stderr, "%s: %zu cases, %s\n", terminal_safe(arguments.out).c_str(), report.rows.size(), format_bytes(text.size()).c_str());
  return kExitYes;
}

}  // namespace

void add_report(Command app, int& exit_code) {
  const Command command = app.add_command("report", "Make a page of results: HTML, Markdown, JSON, CSV or JUnit");
  const auto arguments = std::make_shared<ReportArguments>();
  command.footer(kFooter);
  command.add_option("RESULTS", arguments->results, "Files, tags, commits, dates, runs").required();
  command.add_option("-o,--output", arguments->out, "Write to this file").value_name("FILE");
  command.add_option("--format", arguments->format, "html, md, json, csv, junit").one_of(kReportFormats);
  command.add_option("--title", arguments->title, "The page's title");
  command.when_given([arguments, &exit_code] { exit_code = run_report(*arguments); });
}

}  // namespace assay
