// Foreign rows turned into records.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "bench/harness/import.h"
#include "bench/harness/import_parts.h"
#include "runtime/core/sha256.h"

namespace assay {

namespace {

constexpr std::size_t kMostRows = 1'000'000;

Json value_of(std::string text, bool is_quoted) {
  if (is_quoted) return Json(std::move(text));
  if (text == "true" || text == "false") return Json(text == "true");
  double number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  if (!text.empty() && end.ec == std::errc{} && end.ptr == text.data() + text.size()) {
    if (number >= 0 && number < 1e15 && text.find_first_of(".eE") == std::string::npos) return Json(static_cast<std::uint64_t>(number));
    return Json(number);
  }
  return Json(std::move(text));
}

std::string text_of(const Json& row, std::string_view key) {
  const Json* found = row.find(key);
  return found && found->string() ? *found->string() : "";
}
// llama-bench quotes every CSV field and some numbers in SQL: text that is a number counts as one.
std::optional<double> number_of(const Json& row, std::string_view key) {
  const Json* found = row.find(key);
  if (found == nullptr) return std::nullopt;
  if (const auto number = found->number()) return number;
  const std::string* text = found->string();
  return text ? value_of(*text, false).number() : std::nullopt;
}
std::uint32_t count_of(const Json& row, std::string_view key) {
  const double value = number_of(row, key).value_or(0);
  return value >= 0 && value < 4e9 ? static_cast<std::uint32_t>(value) : 0;
}
std::uint64_t large_of(const Json& row, std::string_view key) {
  const double value = number_of(row, key).value_or(0);
  return value >= 0 && value < 1e18 ? static_cast<std::uint64_t>(value) : 0;
}

// Facts of another program's machine: only what it told.
std::string foreign_fingerprint(const std::string& cpu, const std::string& gpu) {
  const std::string text = "foreign|" + cpu + "|" + gpu;
  return sha256_of(std::as_bytes(std::span(text))).substr(0, 16);
}

std::vector<double> samples_of(const Json& row, std::string_view key) {
  std::vector<double> out;
  const Json* found = row.find(key);
  if (found == nullptr || found->array() == nullptr) return out;
  for (const Json& sample : *found->array())
    if (const auto value = sample.number(); value && *value > 0) out.push_back(*value);
  return out;
}

}  // namespace

std::vector<Json> rows_of_csv(std::string_view text) {
  std::vector<std::string> names;
  std::vector<Json> out;
  std::vector<std::pair<std::string, bool>> fields(1);  // and whether it was quoted
  const auto end_row = [&] {
    if (names.empty()) {
      for (auto& field : fields) names.push_back(std::move(field.first));
    } else if (fields.size() > 1 && out.size() < kMostRows) {
      Json row{Json::Object{}};
      for (std::size_t i = 0; i < std::min(names.size(), fields.size()); ++i) row.set(names[i], value_of(std::move(fields[i].first), fields[i].second));
      out.push_back(std::move(row));
    }
    fields.assign(1, {});
  };
  bool is_inside = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_inside) {
      if (c != '"') fields.back().first += c;
      else if (i + 1 < text.size() && text[i + 1] == '"') fields.back().first += text[++i];
      else is_inside = false;
    } else if (c == '"') {
      is_inside = fields.back().second = true;
    } else if (c == ',') {
      fields.emplace_back();
    } else if (c == '\n') {
      end_row();
    } else if (c != '\r') {
      fields.back().first += c;
    }
  }
  if (fields.size() > 1) end_row();
  return out;
}

std::vector<Json> rows_of_sql(std::string_view text) {
  std::vector<Json> out;
  // "(a, b)" from `at`, which is moved behind it.
  const auto list = [&](std::size_t& at) {
    std::vector<std::pair<std::string, bool>> items(1);
    at = std::min(text.find('(', at), text.size());
    bool is_inside = false;
    for (++at; at < text.size(); ++at) {
      const char c = text[at];
      if (c == '\'' && is_inside && at + 1 < text.size() && text[at + 1] == '\'') items.back().first += text[++at];
      else if (c == '\'') is_inside = !is_inside, items.back().second = true;
      else if (is_inside) items.back().first += c;
      else if (c == ',') items.emplace_back();
      else if (c == ')') break;
      else if (c != ' ' && c != '\n' && c != '\r' && c != '\t') items.back().first += c;
    }
    return items;
  };
  for (std::size_t at = text.find("INSERT INTO"); at < text.size() && out.size() < kMostRows; at = text.find("INSERT INTO", at)) {
    auto names = list(at);
    auto values = list(at);
    Json row{Json::Object{}};
    for (std::size_t i = 0; i < std::min(names.size(), values.size()); ++i) row.set(names[i].first, value_of(std::move(values[i].first), values[i].second));
    if (row.find("avg_ts") != nullptr) out.push_back(std::move(row));
  }
  return out;
}

CaseRun record_from_llama_row(const Json& row) {
  CaseRun run;
  run.engine = {text_of(row, "engine").empty() ? "llama-bench" : text_of(row, "engine"), fmt::format("b{}", large_of(row, "build_number")), text_of(row, "build_commit")};
  run.time = text_of(row, "test_time");
  run.model.path = text_of(row, "model_filename");
  const std::filesystem::path path(run.model.path);
  run.model.name = path.extension() == ".gguf" ? path.stem().string() : path.filename().string();
  if (run.model.name.empty()) run.model.name = text_of(row, "model_type");
  run.model.architecture = text_of(row, "model_type");
  run.model.weight_bytes = large_of(row, "model_size");
  run.model.parameters = large_of(row, "model_n_params");
  if (run.model.parameters > 0) run.model.bits_per_weight = 8.0 * static_cast<double>(run.model.weight_bytes) / static_cast<double>(run.model.parameters);
  // The file itself is not here: what is told of it stands for its hash.
  run.model_sha256 = fmt::format("told:{}:{}:{}", run.model.name, run.model.weight_bytes, run.model.parameters);
  CaseSettings& s = run.settings;
  s.backend = text_of(row, "backends");
  s.prompt_tokens = count_of(row, "n_prompt");
  s.generated_tokens = count_of(row, "n_gen");
  s.is_joined = s.prompt_tokens > 0 && s.generated_tokens > 0;
  s.depth = count_of(row, "n_depth");
  s.batch = std::max(1u, count_of(row, "n_batch"));
  s.ubatch = std::max(1u, count_of(row, "n_ubatch"));
  s.threads = run.resolved.threads = static_cast<int>(std::min(count_of(row, "n_threads"), 65536u));
  s.kv_keys = text_of(row, "type_k");
  s.kv_values = text_of(row, "type_v");
  if (number_of(row, "n_gpu_layers")) s.gpu_layers = static_cast<int>(std::min(count_of(row, "n_gpu_layers"), 1u << 20));
  run.host.cpu_model = text_of(row, "cpu_info");
  run.host_fingerprint = foreign_fingerprint(run.host.cpu_model, text_of(row, "gpu_info"));
  std::vector<double> ns = samples_of(row, "samples_ns");
  if (const auto average = number_of(row, "avg_ns"); ns.empty() && average && *average > 0) ns.push_back(*average);
  for (const double sample : ns) {
    Round& round = run.rounds.emplace_back();
    (s.is_joined ? round.joined_ms : s.prompt_tokens > 0 ? round.prefill_ms : round.decode_ms).push_back(sample / 1e6);
  }
  run.test = test_name(s);
  run.case_name = run.model.name + " " + run.test;
  finish_case(run, {}, 2);
  if (ns.empty()) {
    run.status = Status::failed;
    run.reason = text_of(row, "reason").empty() ? "the imported row has no time" : text_of(row, "reason");
  }
  return run;
}

Result<std::vector<CaseRun>> records_from_google_benchmark(const Json& document) {
  const Json* benchmarks = document.find("benchmarks");
  if (benchmarks == nullptr || benchmarks->array() == nullptr) return Error{Code::malformed, "benchmarks", "must be a list"};
  std::vector<CaseRun> out;
  std::map<std::string, std::vector<double>> times;
  std::map<std::string, std::string> errors;
  std::vector<std::string> order;
  for (const Json& row : *benchmarks->array()) {
    if (text_of(row, "run_type") == "aggregate") continue;
    const std::string name = text_of(row, "run_name").empty() ? text_of(row, "name") : text_of(row, "run_name");
    if (name.empty()) continue;
    if (!times.contains(name)) order.push_back(name);
    auto& list = times[name];
    const Json* is_error = row.find("error_occurred");
    if (is_error && is_error->boolean().value_or(false)) errors[name] = text_of(row, "error_message");
    const std::string unit = text_of(row, "time_unit");
    const double scale = unit == "s" ? 1e3 : unit == "ms" ? 1 : unit == "us" ? 1e-3 : 1e-6;
    if (const auto time = number_of(row, "real_time"); time && *time > 0) list.push_back(*time * scale);
  }
  const Json* context = document.find("context");
  for (const std::string& name : order) {
    CaseRun& run = out.emplace_back();
    run.engine.name = context ? text_of(*context, "executable") : "";
    run.engine.name = std::filesystem::path(run.engine.name).filename().string();
    if (run.engine.name.empty()) run.engine.name = "google-benchmark";
    run.time = context ? text_of(*context, "date") : "";
    run.case_name = run.test = run.model.name = name;
    run.model_sha256 = "told:" + name;
    run.host_fingerprint = foreign_fingerprint(context ? text_of(*context, "host_name") : "", "");
    if (!times[name].empty()) run.time_ms = make_metric(times[name]);
    run.key = make_key(run);
    if (times[name].empty()) run.status = Status::failed, run.reason = errors[name].empty() ? "no time" : errors[name];
  }
  return out;
}

Json google_benchmark_json(const std::vector<CaseRun>& records) {
  Json context{Json::Object{}}, rows{Json::Array{}};
  if (!records.empty()) {
    const CaseRun& first = records.front();
    context.set("date", first.time).set("executable", "assay bench").set("num_cpus", first.host.hardware_threads);
    std::string type = first.build.build_type;
    std::transform(type.begin(), type.end(), type.begin(), [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
    context.set("library_build_type", type).set("host", to_json(first.host)).set("build", to_json(first.build));
  }
  const auto add = [&](const CaseRun& run, const std::string& name, std::vector<double> ms, double tokens) {
    std::int64_t repetition = 0;
    for (const double time : ms) {
      Json row{Json::Object{}};
      row.set("name", name).set("run_name", name).set("run_type", "iteration").set("repetitions", static_cast<std::int64_t>(ms.size()));
      row.set("repetition_index", repetition++).set("threads", 1).set("iterations", 1);
      row.set("real_time", time).set("cpu_time", time).set("time_unit", "ms").set("items_per_second", tokens / time * 1e3);
      row.set("label", label_of(run.model));
      rows.push(std::move(row));
    }
    if (!ms.empty()) return;
    Json row{Json::Object{}};
    row.set("name", name).set("run_name", name).set("run_type", "iteration").set("error_occurred", true).set("error_message", run.reason);
    rows.push(row.set("iterations", 0).set("real_time", 0.0).set("cpu_time", 0.0).set("time_unit", "ms"));
  };
  for (const CaseRun& run : records) {
    std::vector<double> prompt, generated, both;
    for (const Round& round : run.rounds) {
      if (!round.prefill_ms.empty()) prompt.push_back(median(round.prefill_ms));
      if (!round.decode_ms.empty()) generated.push_back(median(round.decode_ms));
      if (!round.joined_ms.empty()) both.push_back(median(round.joined_ms));
    }
    const CaseSettings& s = run.settings;
    const std::string suffix = s.depth > 0 ? fmt::format("/d{}", s.depth) : "";
    if (s.prompt_tokens > 0 && both.empty()) add(run, fmt::format("{}/prefill/{}{}", run.model.name, s.prompt_tokens, suffix), prompt, s.prompt_tokens);
    if (s.generated_tokens > 0 && both.empty()) add(run, fmt::format("{}/decode/{}{}", run.model.name, s.generated_tokens, suffix), generated, s.generated_tokens);
    if (!both.empty()) add(run, run.case_name, both, s.prompt_tokens + s.generated_tokens);
    if (run.time_ms) add(run, run.case_name, run.time_ms->rounds, 1);
  }
  Json out{Json::Object{}};
  return std::move(out.set("context", std::move(context)).set("benchmarks", std::move(rows)));
}

}  // namespace assay
