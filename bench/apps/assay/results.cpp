// assay results: what was measured so far: list, filter, export, import, reindex.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/library_access.h"
#include "bench/apps/assay/results_parts.h"
#include "bench/harness/import.h"
#include "bench/harness/lines_file.h"
#include "bench/harness/llama_rows.h"
#include "bench/harness/store.h"
#include "bench/harness/text_table.h"

namespace assay {

namespace {

struct ResultsArguments {
  ResultFilter filter;
  std::string format = "text", out, tag;
  std::vector<std::string> files;
  bool json = false;
};

constexpr const char* kFooter =
    R"(Results are JSON lines in results/ below $ASSAY_HOME (or $XDG_DATA_HOME/assay); assay.db is an index that reindex makes anew.

Examples:
  assay results                                   the newest fifty
  assay results --model llama --since 2026-11 --format md
  assay results --tag main --format csv -o main.csv
  assay results import old.csv llama-bench.json   numbers of llama-bench (json, jsonl, csv, sql) or Google Benchmark (json)
  assay results reindex)";

constexpr std::size_t kShownByDefault = 50;

TextTable table_of(const std::vector<CaseRun>& records) {
  TextTable table({{"Time"}, {"Engine"}, {"Commit"}, {"Tag"}, {"Model"}, {"Test"}, {"Prefill tok/s", Align::right}, {"Decode tok/s", Align::right}, {"TTFT ms", Align::right}, {"Peak", Align::right}, {"Rounds", Align::right}, {"Status"}});
  const auto number = [](const std::optional<Metric>& metric) { return metric ? figure(metric->median) : std::string("-"); };
  for (const CaseRun& run : records) {
    std::string status(enum_names(run.status)[static_cast<std::size_t>(run.status)]);
    if (run.noise.is_noisy) status += ", noisy";
    table.add({run.time, run.engine.name, run.engine.commit, run.tag, run.model.name, run.test, run.time_ms ? number(run.time_ms) + " ms" : number(run.prefill_tps), number(run.decode_tps),
               number(run.ttft_ms), run.peak_bytes ? format_bytes(static_cast<std::uint64_t>(run.peak_bytes->median)) : "-", std::to_string(run.rounds.size()), status});
  }
  return table;
}

// Every field of the records as columns; lists and nested rounds stay out.
bool is_flat(const Column& column) { return !column.name.ends_with("rounds") && column.name != "model.formats" && column.name != "host.caches" && column.name != "noise.reasons"; }

struct FlatRows {
  std::vector<std::string> names;
  std::vector<std::vector<Json>> rows;
};
FlatRows flatten(const std::vector<CaseRun>& records) {
  FlatRows out;
  for (const CaseRun& run : records) {
    auto& row = out.rows.emplace_back();
    out.names.clear();
    // Metrics and the like are optional structs: their medians stand for them.
    const std::vector<Column> columns = columns_of<CaseRun>();
    std::vector<Json> cells = cells_of(run);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!is_flat(columns[i])) continue;
      const Json* median = cells[i].find("median");
      out.names.push_back(columns[i].name);
      row.push_back(median ? *median : std::move(cells[i]));
    }
  }
  return out;
}

std::string csv_of(const std::vector<CaseRun>& records) {
  const FlatRows flat = flatten(records);
  std::string out;
  for (const std::string& name : flat.names) out += (out.empty() ? "" : ",") + name;
  out += "\n";
  for (const auto& row : flat.rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += (i > 0 ? "," : "") + csv_field(row[i].string() ? *row[i].string() : row[i].is_null() ? "" : to_text(row[i]));
    out += line + "\n";
  }
  return out;
}

std::string sql_of(const std::vector<CaseRun>& records) {
  const FlatRows flat = flatten(records);
  std::string names;
  for (const std::string& name : flat.names) names += (names.empty() ? "" : ", ") + ("\"" + name + "\"");
  std::string out = "CREATE TABLE IF NOT EXISTS assay_results (" + names + ");\n";
  for (const auto& row : flat.rows) {
    std::string values;
    for (std::size_t i = 0; i < row.size(); ++i) values += (i > 0 ? ", " : "") + sql_literal(row[i]);
    out += "INSERT INTO assay_results (" + names + ") VALUES (" + values + ");\n";
  }
  return out;
}

std::string rendered(const std::vector<CaseRun>& records, const std::string& format) {
  if (format == "md") return table_of(records).markdown();
  if (format == "csv") return csv_of(records);
  if (format == "sql") return sql_of(records);
  if (format == "gbench") return to_text(google_benchmark_json(records), 2) + "\n";
  if (format == "llama-bench") return render_llama_rows(llama_rows(records), LlamaFormat::json);
  if (format == "jsonl") {
    std::string out;
    for (const CaseRun& run : records) out += to_text(to_json(run)) + "\n";
    return out;
  }
  if (format == "json") {
    Json list{Json::Array{}}, out{Json::Object{}};
    for (const CaseRun& run : records) list.push(to_json(run));
    return to_text(out.set("schema", "assay.results/1").set("records", std::move(list)), 1) + "\n";
  }
  return terminal_lines(table_of(records).text());
}

int list_results(ResultsArguments& arguments) {
  auto store = open_results();
  if (!store) return report_error(store.error());
  const std::string format = arguments.json ? "json" : arguments.format;
  if (format == "text" && arguments.filter.limit == 0) arguments.filter.limit = kShownByDefault;
  const auto records = store->find(arguments.filter);
  if (!records) return report_error(records.error());
  if (records->empty() && format == "text") {
    std::fprintf(stderr, "assay: no results; assay bench MODEL makes some\n");
    return kExitYes;
  }
  const std::string text = rendered(*records, format);
  if (arguments.out.empty()) return fmt::print("{}", text), kExitYes;
  const auto written = write_text_file(arguments.out, text);
  return written ? kExitYes : report_error(written.error());
}

int import_results(const ResultsArguments& arguments) {
  auto store = open_results();
  if (!store) return report_error(store.error());
  int exit_code = kExitYes;
  for (const std::string& file : arguments.files) {
    auto loaded = load_results(file);
    if (!loaded) {
      exit_code = report_error(loaded.error());
      continue;
    }
    for (const std::string& problem : loaded->problems) print_error(problem);
    const std::string run_id = make_run_id();
    for (CaseRun& run : loaded->records) {
      if (run.run_id.empty()) run.run_id = run_id;
      if (!arguments.tag.empty()) run.tag = arguments.tag;
    }
    if (const auto added = store->add(store->file_for(run_id), loaded->records); !added) return report_error(added.error());
    fmt::print("{}: {} records ({})\n", terminal_safe(file), loaded->records.size(), loaded->kind);
  }
  return exit_code;
}

int reindex_results() {
  auto store = open_results();
  if (!store) return report_error(store.error());
  const auto done = store->reindex();
  if (!done) return report_error(done.error());
  for (const std::string& problem : done->problems) print_error(problem);
  fmt::print("{} records of {} files\n", done->records, done->files);
  return kExitYes;
}

}  // namespace

Result<std::vector<CaseRun>> find_results(const std::string& name) {
  std::error_code ignored;
  if (std::filesystem::exists(name, ignored)) {
    ASSAY_TRY(LoadedResults loaded, load_results(name));
    for (const std::string& problem : loaded.problems) print_error(problem);
    return std::move(loaded.records);
  }
  if (const std::size_t sign = name.rfind('@'); sign != std::string::npos && std::filesystem::exists(name.substr(0, sign), ignored)) {
    ASSAY_TRY(std::vector<CaseRun> all, find_results(name.substr(0, sign)));
    std::erase_if(all, [&](const CaseRun& run) { return run.tag != name.substr(sign + 1); });
    if (all.empty()) return Error{Code::not_found, name, "the file has no results with this tag"};
    return all;
  }
  ASSAY_TRY(ResultStore store, open_results());
  if (name == "latest" || name == "previous") {
    ASSAY_TRY(const auto all, store.find({}));
    std::vector<std::string> runs;
    for (const CaseRun& run : all)
      if (std::find(runs.begin(), runs.end(), run.run_id) == runs.end()) runs.push_back(run.run_id);
    const std::size_t back = name == "latest" ? 1 : 2;
    if (runs.size() < back) return Error{Code::not_found, name, fmt::format("the store holds {} runs", runs.size())};
    ResultFilter filter;
    filter.run_id = runs[runs.size() - back];
    return store.find(filter);
  }
  const auto by = [](std::string ResultFilter::*member, const std::string& value) {
    ResultFilter filter;
    filter.*member = value;
    return filter;
  };
  std::vector<ResultFilter> filters = {by(&ResultFilter::tag, name), by(&ResultFilter::run_id, name)};
  if (name.size() >= 4 && name.find_first_not_of("0123456789abcdef") == std::string::npos) filters.push_back(by(&ResultFilter::commit, name));
  if (name.size() >= 4 && name.find_first_not_of("0123456789-T:Z") == std::string::npos) {
    filters.push_back(by(&ResultFilter::since, name));
    filters.back().until = name;
  }
  for (const ResultFilter& filter : filters) {
    ASSAY_TRY(auto found, store.find(filter));
    if (!found.empty()) return found;
  }
  return Error{Code::not_found, name, "is no file, and the store knows no tag, run, commit or date of that name; see assay results"};
}

bool stdout_has_colour() {
  const char* none = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) != 0 && (none == nullptr || *none == '\0') && terminal != nullptr && std::string_view(terminal) != "dumb";
}

std::string terminal_lines(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out += terminal_safe(std::string_view(text).substr(at, end - at));
    if (end < text.size()) out += text[end];
    at = end + 1;
  }
  return out;
}

void add_results(Command app, int& exit_code) {
  const Command command = app.add_command("results", "List, filter, export and import what was measured");
  const auto arguments = std::make_shared<ResultsArguments>();
  command.footer(kFooter);
  command.require_commands(0, 1);
  ResultFilter& filter = arguments->filter;
  command.add_option("--model", filter.model, "Part of the model's name");
  command.add_option("--test", filter.test, "Part of the test: pp512");
  command.add_option("--engine", filter.engine, "assay, llama-bench, ...");
  command.add_option("--tag", filter.tag, "The run's tag");
  command.add_option("--run", filter.run_id, "The run's id");
  command.add_option("--commit", filter.commit, "Beginning of a commit");
  command.add_option("--since", filter.since, "2026, 2026-11, 2026-11-21T05");
  command.add_option("--until", filter.until, "The same, inclusive");
  command.add_option("--status", filter.status, "ok, oom, crash, timeout, ...").one_of(kStatusNames);
  command.add_option("--limit", filter.limit, "The newest N");
  command.add_option("--format", arguments->format, "text, md, json, jsonl, csv, sql, gbench (Google Benchmark), llama-bench").one_of({"text", "md", "json", "jsonl", "csv", "sql", "gbench", "llama-bench"}).shows_default();
  command.add_flag("--json", arguments->json, "The same as --format json");
  command.add_option("-o,--output", arguments->out, "Write to this file").value_name("FILE");
  const Command import = command.add_command("import", "Take in results of llama-bench, Google Benchmark or another assay");
  import.add_option("FILE", arguments->files, "Files of results").required();
  import.add_option("--tag", arguments->tag, "A name to find them by");
  const Command reindex = command.add_command("reindex", "Make the index anew from the files");
  command.when_given([arguments, import, reindex, &exit_code] {
    exit_code = import.was_given() ? import_results(*arguments) : reindex.was_given() ? reindex_results() : list_results(*arguments);
  });
}

}  // namespace assay
