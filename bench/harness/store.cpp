// The index of ResultStore, and its files.
#include "bench/harness/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "bench/harness/lines_file.h"
#include "runtime/registry/registry.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

DatabaseValue median_of(const std::optional<Metric>& metric) { return metric ? DatabaseValue(metric->median) : DatabaseValue(); }

}  // namespace

std::string make_run_id() {
  std::string time = utc_time();
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  std::random_device random;
  return fmt::format("{}-{:06x}", time, random() & 0xffffffu);
}

bool ResultFilter::lets_pass(const CaseRun& run) const {
  const auto contains = [](const std::string& text, const std::string& part) { return part.empty() || text.find(part) != std::string::npos; };
  if (!run_id.empty() && run.run_id != run_id) return false;
  if (!tag.empty() && run.tag != tag) return false;
  if (!commit.empty() && !run.engine.commit.starts_with(commit)) return false;
  if (!since.empty() && run.time.substr(0, since.size()) < since) return false;
  if (!until.empty() && run.time.substr(0, until.size()) > until) return false;
  if (!status.empty() && enum_names(run.status)[static_cast<std::size_t>(run.status)] != status) return false;
  return contains(run.model.name, model) && contains(run.test, test) && contains(run.engine.name, engine);
}

Result<ResultStore> ResultStore::open(const fs::path& home) {
  ASSAY_TRY(OpenedDatabase opened, open_or_replace_database(home));
  ResultStore out(home, std::move(opened.database));
  bool is_empty = false;
  ASSAY_TRY_VOID(out.database_.query("SELECT NOT EXISTS (SELECT 1 FROM results)", {}, [&](Database::Row row) { return !(is_empty = integer_of(row[0]).value_or(0) != 0); }));
  std::error_code ignored;
  if (is_empty && fs::exists(home / "results", ignored)) {
    ASSAY_TRY([[maybe_unused]] const Reindexed made, out.reindex());
  }
  if (!opened.moved_aside.empty()) out.note_ = fmt::format("the database was damaged: it is kept as {}, and a new one was made from the results", opened.moved_aside.string());
  return out;
}

Result<std::vector<ResultStore::LastSpeed>> ResultStore::last_speeds() {
  std::vector<LastSpeed> out;
  ASSAY_TRY_VOID(database_.query("SELECT model, model_sha256, max(time), decode_tps FROM results WHERE status = 'ok' AND decode_tps IS NOT NULL AND engine = 'assay' GROUP BY model, model_sha256", {}, [&](Database::Row row) {
    const auto* speed = std::get_if<double>(&row[3]);
    out.push_back({text_of(row[0]), text_of(row[1]), text_of(row[2]), speed ? *speed : 0});
    return true;
  }));
  return out;
}

Result<> ResultStore::index(const fs::path& file, std::uint64_t line, const CaseRun& run, const std::string& text) {
  std::optional<double> perplexity;
  if (run.quality) perplexity = run.quality->perplexity;
  const DatabaseValue values[] = {run.run_id, run.tag, run.time, run.engine.commit, run.engine.name, run.model.name, run.model_sha256, run.test,
                                  std::string(enum_names(run.status)[static_cast<std::size_t>(run.status)]), run.key, run.host_fingerprint,
                                  median_of(run.prefill_tps), median_of(run.decode_tps), median_of(run.ttft_ms), median_of(run.peak_bytes),
                                  perplexity ? DatabaseValue(*perplexity) : DatabaseValue(), file.string(), static_cast<std::int64_t>(line), text};
  return database_.run("INSERT OR REPLACE INTO results (run_id, tag, time, commit_id, engine, model, model_sha256, test, status, key, host_fingerprint, "
                       "prefill_tps, decode_tps, ttft_ms, peak_bytes, perplexity, file, line, record) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", values);
}

Result<> append_records(const fs::path& file, const std::vector<CaseRun>& records) {
  ASSAY_TRY(LinesFile lines, LinesFile::open(file));
  for (const CaseRun& run : records) ASSAY_TRY_VOID(lines.append(to_text(to_json(run))));
  return success();
}

Result<> ResultStore::add(const fs::path& file, const std::vector<CaseRun>& records) {
  std::error_code ignored;
  const fs::path whole = fs::absolute(file, ignored).lexically_normal();
  std::uint64_t line = 0;
  if (fs::exists(whole, ignored)) {
    ASSAY_TRY(const JsonLines there, read_json_lines(whole));
    if (!there.lines.empty()) line = there.lines.back().number;
  }
  ASSAY_TRY_VOID(append_records(whole, records));
  const auto index_all = [&]() -> Result<> {
    for (const CaseRun& run : records) ASSAY_TRY_VOID(index(whole, ++line, run, to_text(to_json(run))));
    return success();
  };
  return database_.transaction(index_all);
}

Result<std::vector<CaseRun>> ResultStore::find(const ResultFilter& filter) {
  std::vector<CaseRun> out;
  std::optional<Error> problem;
  // What has a column narrows the search; the record decides.
  const DatabaseValue values[] = {filter.run_id, filter.tag, filter.status};
  const auto take = [&](Database::Row row) {
    const auto json = parse_json(text_of(row[0]));
    auto run = json ? from_json<CaseRun>(*json) : Result<CaseRun>(json.error());
    if (!run) {
      problem = Error{Code::malformed, "assay.db", "a record cannot be read (" + run.error().message() + "); run: assay results reindex"};
      return false;
    }
    if (filter.lets_pass(*run)) out.push_back(std::move(*run));
    return filter.limit == 0 || out.size() < filter.limit;
  };
  ASSAY_TRY_VOID(database_.query("SELECT record FROM results WHERE (?1 = '' OR run_id = ?1) AND (?2 = '' OR tag = ?2) AND (?3 = '' OR status = ?3) ORDER BY time DESC, id DESC", values, take));
  if (problem) return *problem;
  std::reverse(out.begin(), out.end());
  return out;
}

Result<ResultStore::Reindexed> ResultStore::reindex() {
  Reindexed out;
  std::vector<fs::path> files;
  std::error_code problem;
  for (fs::directory_iterator entry(home_ / "results", problem), end; !problem && entry != end; entry.increment(problem))
    if (entry->path().extension() == ".jsonl") files.push_back(entry->path());
  std::sort(files.begin(), files.end());
  const auto read_all = [&]() -> Result<> {
    ASSAY_TRY_VOID(database_.run("DELETE FROM results"));
    for (const fs::path& file : files) {
      auto lines = read_json_lines(file);
      if (!lines) {
        out.problems.push_back(lines.error().message());
        continue;
      }
      ++out.files;
      out.problems.insert(out.problems.end(), lines->problems.begin(), lines->problems.end());
      for (const JsonLine& line : lines->lines) {
        const Json* schema = line.json.find("schema");
        const bool is_ours = schema && schema->string() && *schema->string() == kCaseRunSchema;
        auto run = is_ours ? from_json<CaseRun>(line.json) : Result<CaseRun>(Error{Code::unsupported, "", "is no record of this version"});
        if (!run) {
          out.problems.push_back(fmt::format("{}:{}: {}", file.string(), line.number, run.error().message()));
          continue;
        }
        ASSAY_TRY_VOID(index(file, line.number, *run, to_text(line.json)));
        ++out.records;
      }
    }
    return success();
  };
  ASSAY_TRY_VOID(database_.transaction(read_all));
  return out;
}

}  // namespace assay
