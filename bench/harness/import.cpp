// Telling the kinds apart, and our own records.
#include "bench/harness/import.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/harness/import_parts.h"
#include "bench/harness/lines_file.h"
#include "runtime/core/mapped_file.h"

namespace assay {

namespace {

constexpr std::string_view kRecordPrefix = "assay.case-run/";

std::string schema_of(const Json& json) {
  const Json* schema = json.find("schema");
  return schema && schema->string() ? *schema->string() : "";
}

// One line's object: ours, llama-bench's, or a problem.
void take_line(const JsonLine& line, const std::filesystem::path& path, LoadedResults& out) {
  const auto problem = [&](std::string what) { out.problems.push_back(fmt::format("{}:{}: {}", path.string(), line.number, what)); };
  const std::string schema = schema_of(line.json);
  if (schema == kCaseRunSchema) {
    auto record = from_json<CaseRun>(line.json);
    if (record) out.records.push_back(std::move(*record));
    else problem(record.error().message());
  } else if (schema.starts_with(kRecordPrefix)) {
    problem(fmt::format("is a record of a newer version ({}); this one reads {}; use a newer assay", schema, kCaseRunSchema));
  } else if (!schema.empty()) {
    problem(fmt::format("is not a result of assay bench (schema {})", schema));
  } else if (line.json.find("avg_ts") != nullptr) {
    out.kind = "llama-bench jsonl";
    out.records.push_back(record_from_llama_row(line.json));
  } else {
    problem("is no result that is known here");
  }
}

Result<LoadedResults> load_document(const Json& document, const std::filesystem::path& path) {
  LoadedResults out;
  if (const Json::Array* rows = document.array()) {
    out.kind = "llama-bench json";
    for (const Json& row : *rows)
      if (row.find("avg_ts") != nullptr) out.records.push_back(record_from_llama_row(row));
      else if (auto record = schema_of(row) == kCaseRunSchema ? from_json<CaseRun>(row) : Result<CaseRun>(Error{})) out.records.push_back(std::move(*record)), out.kind = "assay";
      else out.problems.push_back(path.string() + ": an element is no result that is known here");
    return out;
  }
  if (document.find("benchmarks") != nullptr) {
    out.kind = "google benchmark";
    ASSAY_TRY(out.records, records_from_google_benchmark(document));
    return out;
  }
  if (const Json* records = document.find("records"); records && records->array()) return load_document(*records, path);
  out.kind = "assay";
  take_line({1, document}, path, out);
  return out;
}

}  // namespace

Result<LoadedResults> load_results(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return Error{Code::io, "", "is a folder; name a file of results", path.string()};
  ASSAY_TRY(const MappedFile file, MappedFile::open(path));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  LoadedResults out;
  if (const auto document = parse_json(text)) {
    auto loaded = load_document(*document, path);
    if (!loaded) return Error{loaded.error().code, loaded.error().subject, loaded.error().detail, path.string()};
    out = std::move(*loaded);
  } else if (text.find("INSERT INTO") != std::string_view::npos) {
    out.kind = "llama-bench sql";
    for (const Json& row : rows_of_sql(text)) out.records.push_back(record_from_llama_row(row));
  } else if (text.substr(0, text.find('\n')).find("build_commit") != std::string_view::npos && !text.starts_with("{")) {
    out.kind = "llama-bench csv";
    for (const Json& row : rows_of_csv(text)) out.records.push_back(record_from_llama_row(row));
  } else {
    ASSAY_TRY(JsonLines lines, read_json_lines(path));
    out.kind = "assay";
    for (const JsonLine& line : lines.lines) take_line(line, path, out);
    out.problems.insert(out.problems.end(), lines.problems.begin(), lines.problems.end());
  }
  if (!out.records.empty()) return out;
  if (out.problems.empty()) return Error{Code::malformed, "", "holds no results; known are records of assay bench, llama-bench (json, jsonl, csv, sql) and Google Benchmark (json)", path.string()};
  const bool is_newer = out.problems.front().find("newer version") != std::string::npos;
  return Error{is_newer ? Code::unsupported : Code::malformed, "", "holds no results that can be read: " + out.problems.front(), path.string()};
}

}  // namespace assay
