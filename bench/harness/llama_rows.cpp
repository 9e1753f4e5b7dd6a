// The rows and their five forms.
#include "bench/harness/llama_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/harness/text_table.h"

namespace assay {

namespace {

struct Phase {
  std::uint32_t prompt = 0, generated = 0;
  std::vector<double> ms;
};

std::vector<Phase> phases_of(const CaseRun& run) {
  const CaseSettings& s = run.settings;
  Phase joined{s.prompt_tokens, s.generated_tokens, {}}, prompt{s.prompt_tokens, 0, {}}, generated{0, s.generated_tokens, {}};
  for (const Round& round : run.rounds) {
    prompt.ms.insert(prompt.ms.end(), round.prefill_ms.begin(), round.prefill_ms.end());
    generated.ms.insert(generated.ms.end(), round.decode_ms.begin(), round.decode_ms.end());
    joined.ms.insert(joined.ms.end(), round.joined_ms.begin(), round.joined_ms.end());
    if (round.joined_ms.empty())
      for (std::size_t i = 0; i < std::min(round.prefill_ms.size(), round.decode_ms.size()); ++i) joined.ms.push_back(round.prefill_ms[i] + round.decode_ms[i]);
  }
  if (s.is_joined) return {joined};
  std::vector<Phase> out;
  if (s.prompt_tokens > 0) out.push_back(std::move(prompt));
  if (s.generated_tokens > 0) out.push_back(std::move(generated));
  return out;
}

LlamaRow row_of(const CaseRun& run, const Phase& phase) {
  LlamaRow row;
  row.build_commit = run.engine.commit;
  row.cpu_info = run.host.cpu_model;
  row.backends = run.resolved.isa.empty() ? run.settings.backend : run.engine.name == "assay" ? fmt::format("{}-{}", run.settings.backend, run.resolved.isa) : run.resolved.isa;
  row.model_filename = run.model.path;
  row.model_type = label_of(run.model);
  row.model_size = run.model.weight_bytes;
  row.model_n_params = run.model.parameters;
  row.n_batch = run.settings.batch;
  row.n_ubatch = run.settings.ubatch;
  row.n_threads = run.resolved.threads > 0 ? run.resolved.threads : run.settings.threads;
  if (!run.settings.cpu_mask.empty()) row.cpu_mask = run.settings.cpu_mask;
  row.type_k = run.settings.kv_keys;
  row.type_v = run.settings.kv_values;
  row.n_gpu_layers = run.settings.gpu_layers.value_or(0);
  row.flash_attn = run.settings.flash_attention != "off";
  row.use_mmap = run.settings.load.starts_with("map");
  row.n_prompt = phase.prompt;
  row.n_gen = phase.generated;
  row.n_depth = run.settings.depth;
  row.test_time = run.time;
  row.engine = run.engine.name;
  row.status = enum_names(run.status)[static_cast<std::size_t>(run.status)];
  row.reason = run.reason;
  const double tokens = static_cast<double>(phase.prompt) + static_cast<double>(phase.generated) * run.settings.sequences;
  for (const double ms : phase.ms) {
    row.samples_ns.push_back(ms * 1e6);
    row.samples_ts.push_back(tokens / ms * 1e3);
  }
  if (phase.ms.empty()) return row;
  row.avg_ns = mean(row.samples_ns);
  row.stddev_ns = standard_deviation(row.samples_ns);
  row.avg_ts = mean(row.samples_ts);
  row.stddev_ts = standard_deviation(row.samples_ts);
  return row;
}

std::string binary_size(std::uint64_t bytes) {
  const double size = static_cast<double>(bytes);
  return size >= 1024.0 * 1024 * 1024 ? fmt::format("{:.2f} GiB", size / (1024.0 * 1024 * 1024)) : fmt::format("{:.2f} MiB", size / (1024.0 * 1024));
}

std::string test_of(const LlamaRow& row) {
  std::string out = row.n_prompt > 0 && row.n_gen > 0 ? fmt::format("pp{}+tg{}", row.n_prompt, row.n_gen) : row.n_gen > 0 ? fmt::format("tg{}", row.n_gen) : fmt::format("pp{}", row.n_prompt);
  if (row.n_depth > 0) out += fmt::format(" @ d{}", row.n_depth);
  return out;
}

std::string markdown(std::span<const LlamaRow> rows) {
  const auto differs = [&](auto&& is_default) { return !std::all_of(rows.begin(), rows.end(), is_default); };
  const bool with_batch = differs([](const LlamaRow& r) { return r.n_batch == 2048; }), with_ubatch = differs([](const LlamaRow& r) { return r.n_ubatch == 512; });
  const bool with_cache = differs([](const LlamaRow& r) { return r.type_k == "f16" && r.type_v == "f16"; });
  const bool with_engine = differs([&](const LlamaRow& r) { return r.engine == rows.front().engine; });
  std::vector<TextColumn> columns = {{"model"}, {"size", Align::right}, {"params", Align::right}, {"backend"}, {"threads", Align::right}};
  if (with_batch) columns.push_back({"n_batch", Align::right});
  if (with_ubatch) columns.push_back({"n_ubatch", Align::right});
  if (with_cache) columns.insert(columns.end(), {{"type_k", Align::right}, {"type_v", Align::right}});
  if (with_engine) columns.push_back({"engine"});
  columns.insert(columns.end(), {{"test", Align::right}, {"t/s", Align::right}});
  TextTable table(std::move(columns));
  for (const LlamaRow& row : rows) {
    const double count = static_cast<double>(row.model_n_params);
    std::vector<std::string> cells = {row.model_type, binary_size(row.model_size), count >= 1e9 ? fmt::format("{:.2f} B", count / 1e9) : fmt::format("{:.2f} M", count / 1e6), row.backends, std::to_string(row.n_threads)};
    if (with_batch) cells.push_back(std::to_string(row.n_batch));
    if (with_ubatch) cells.push_back(std::to_string(row.n_ubatch));
    if (with_cache) cells.insert(cells.end(), {row.type_k, row.type_v});
    if (with_engine) cells.push_back(row.engine);
    cells.push_back(test_of(row));
    cells.push_back(row.avg_ts ? fmt::format("{:.2f} ± {:.2f}", *row.avg_ts, *row.stddev_ts) : "n/a (" + row.status + ")");
    table.add(std::move(cells));
  }
  return table.markdown();
}

std::string csv(std::span<const LlamaRow> rows) {
  std::string out;
  for (const Column& column : columns_of<LlamaRow>())
    if (!column.name.starts_with("samples_")) out += (out.empty() ? "" : ",") + column.name;
  out += "\n";
  for (const LlamaRow& row : rows) {
    std::string line;
    for_each_field<LlamaRow>([&](const auto& field) {
      if (field.name.starts_with("samples_")) return;
      const Json cell = to_json(row.*field.member);
      line += (line.empty() ? "" : ",") + csv_field(cell.string() ? *cell.string() : cell.is_null() ? "" : to_text(cell));
    });
    out += line + "\n";
  }
  return out;
}

std::string sql(std::span<const LlamaRow> rows) {
  std::string columns, out;
  for_each_field<LlamaRow>([&](const auto& field) {
    if (field.name.starts_with("samples_")) return;
    using Member = typename std::remove_cvref_t<decltype(field)>::Type;
    constexpr bool is_text = std::is_same_v<Member, std::string>;
    constexpr bool is_real = std::is_same_v<Member, std::optional<double>>;
    columns += fmt::format("{}  {} {}", columns.empty() ? "" : ",\n", field.name, is_text ? "TEXT" : is_real ? "REAL" : "INTEGER");
  });
  out = "CREATE TABLE IF NOT EXISTS llama_bench (\n" + columns + "\n);\n\n";
  for (const LlamaRow& row : rows) {
    std::string names, values;
    for_each_field<LlamaRow>([&](const auto& field) {
      if (field.name.starts_with("samples_")) return;
      names += (names.empty() ? "" : ", ") + std::string(field.name);
      values += (values.empty() ? "" : ", ") + sql_literal(to_json(row.*field.member));
    });
    out += "INSERT INTO llama_bench (" + names + ") VALUES (" + values + ");\n";
  }
  return out;
}

}  // namespace

std::string sql_literal(const Json& value) {
  if (value.is_null()) return "NULL";
  if (const auto truth = value.boolean()) return *truth ? "1" : "0";
  const std::string text = value.string() ? *value.string() : to_text(value);
  if (value.is_number()) return text;
  std::string out = "'";
  for (const char c : text) {
    if (c == '\0') continue;  // ends a statement in some readers
    out += c == '\'' ? std::string("''") : std::string(1, c);
  }
  return out + "'";
}

std::vector<LlamaRow> llama_rows(std::span<const CaseRun> records) {
  std::vector<LlamaRow> out;
  for (const CaseRun& run : records)
    for (const Phase& phase : phases_of(run)) out.push_back(row_of(run, phase));
  return out;
}

std::optional<LlamaFormat> llama_format_from_name(std::string_view name) {
  constexpr std::string_view kNames[] = {"md", "json", "jsonl", "csv", "sql"};
  const auto* found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<LlamaFormat>(found - std::begin(kNames));
}

std::string render_llama_rows(std::span<const LlamaRow> rows, LlamaFormat format) {
  switch (format) {
    case LlamaFormat::md: return rows.empty() ? "" : markdown(rows);
    case LlamaFormat::csv: return csv(rows);
    case LlamaFormat::sql: return sql(rows);
    case LlamaFormat::json: {
      Json all{Json::Array{}};
      for (const LlamaRow& row : rows) all.push(to_json(row));
      return to_text(all, 2) + "\n";
    }
    case LlamaFormat::jsonl: break;
  }
  std::string out;
  for (const LlamaRow& row : rows) out += to_text(to_json(row)) + "\n";
  return out;
}

}  // namespace assay
