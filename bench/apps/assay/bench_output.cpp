// What assay bench prints: its own table, llama-bench's forms, records.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "bench/apps/assay/bench_parts.h"
#include "bench/apps/assay/places.h"
#include "bench/harness/import.h"
#include "bench/harness/lines_file.h"
#include "bench/harness/llama_rows.h"
#include "bench/harness/local_score.h"
#include "bench/harness/text_table.h"
#include "runtime/core/parallel.h"
#include "runtime/engine/synth.h"

namespace assay {

namespace {

std::string speed(const std::optional<Metric>& metric) { return metric ? figure_within(metric->median, interval_percent(*metric)) : "-"; }

std::string share_of_limit(const CaseRun& run) {
  const std::optional<Work>& work = run.decode ? run.decode : run.prefill;
  return work && work->limit_percent ? fmt::format("{:.0f} %", *work->limit_percent) : "-";
}

// `by_program`: several builds were measured, whose names are tags.
void print_table(const std::vector<CaseRun>& records, bool by_program) {
  TextTable table({{"Model"}, {"Test"}, {"Threads", Align::right}, {"Prefill tok/s", Align::right}, {"Decode tok/s", Align::right}, {"TTFT ms", Align::right},
                   {"p99 ms", Align::right}, {"of limit", Align::right}, {"Peak", Align::right}, {"Rounds", Align::right}, {"Answer"}});
  for (const CaseRun& run : records) {
    const bool has_numbers = !run.rounds.empty();
    std::string answer = run.agreement ? fmt::format("agrees, rms {:.2g}", run.agreement->rms_relative) : run.engine.name == "assay" ? "not checked" : run.engine.name;
    if (run.status != Status::ok) answer = std::string(enum_names(run.status)[static_cast<std::size_t>(run.status)]);
    else if (run.noise.is_noisy) answer += ", noisy";
    if (by_program && run.engine.name == "assay") answer = run.tag + ": " + answer;
    const int threads = run.resolved.threads > 0 ? run.resolved.threads : run.settings.threads;
    table.add({terminal_safe(run.model.name), run.test, threads > 0 ? std::to_string(threads) : "-", run.end_to_end_tps && !run.decode_tps ? "e2e " + speed(run.end_to_end_tps) : speed(run.prefill_tps), speed(run.decode_tps),
               run.ttft_ms ? figure(run.ttft_ms->median) : "-", run.latency.p99_ms ? figure(*run.latency.p99_ms) : "-", share_of_limit(run),
               has_numbers && run.memory.peak_bytes > 0 ? format_bytes(run.memory.peak_bytes) : "-", std::to_string(run.rounds.size()), terminal_safe(answer)});
  }
  fmt::print("{}", table.text());
}

void print_quality(const std::vector<CaseRun>& records) {
  std::vector<std::string> told;
  for (const CaseRun& run : records) {
    if (!run.quality) continue;
    const QualityFacts& q = *run.quality;
    std::string line = fmt::format("{}: perplexity {:.4f} ± {:.4f} ({} tokens of {}, windows of {})", run.model.name, q.perplexity, q.perplexity_error, q.scored_tokens, q.text, q.context);
    if (q.kl_mean) line += fmt::format("; against {}: KL {:.6f} (p99 {:.5f}, max {:.4f}), same top token {:.2f} %, worst token {:.3f}", q.reference, *q.kl_mean, *q.kl_p99, *q.kl_max, *q.top1_percent, *q.worst_token);
    if (std::find(told.begin(), told.end(), line) == told.end()) told.push_back(line);
  }
  for (const std::string& line : told) fmt::print("{}\n", terminal_safe(line));
}

// What the table has no room for: failures and noise, each said once.
void print_notes(const std::vector<CaseRun>& records) {
  for (const CaseRun& run : records) {
    const std::string name = terminal_safe(run.case_name);
    if (run.status != Status::ok) fmt::print("{}: {}: {}\n", name, enum_names(run.status)[static_cast<std::size_t>(run.status)], terminal_safe(run.reason));
    else if (!run.reason.empty()) fmt::print("{}: {}\n", name, terminal_safe(run.reason));
    if (run.noise.is_noisy) fmt::print("{}: noisy, ± {:.1f} %: {}\n", name, run.noise.interval_percent, terminal_safe(fmt::format("{}", fmt::join(run.noise.reasons, "; "))));
  }
}

void print_local_scores(const BenchPlan& plan, const std::vector<CaseRun>& records) {
  for (const PlannedModel& model : plan.models) {
    std::vector<const CaseRun*> tests;
    for (const CaseRun& run : records)
      if (run.model.name == model.name && run.engine.name == "assay") tests.push_back(&run);
    const std::string name = terminal_safe(model.name);
    if (const auto score = local_score(tests))
      fmt::print("{}: LocalScore {:.0f} (prompt {} tok/s, generation {} tok/s, first token {} ms)\n", name, score->score, figure(score->prompt_tps), figure(score->generation_tps), figure(score->ttft_ms));
    else
      fmt::print("{}: no LocalScore: it needs all nine tests\n", name);
  }
}

Json document_of(const std::vector<CaseRun>& records) {
  Json list{Json::Array{}}, out{Json::Object{}};
  for (const CaseRun& run : records) list.push(to_json(run));
  return std::move(out.set("schema", "assay.bench/1").set("records", std::move(list)));
}

}  // namespace

Result<> show_records(const BenchArguments& arguments, const BenchPlan& plan, const std::vector<CaseRun>& records) {
  if (arguments.json || arguments.output == "records") {
    fmt::print("{}\n", to_text(document_of(records), 1));
    return success();
  }
  if (arguments.output == "facts") {
    for (const CaseRun& run : records) fmt::print("{}\n", to_text(to_json(facts_only(run))));
    return success();
  }
  if (arguments.output == "gbench") {
    fmt::print("{}\n", to_text(google_benchmark_json(records), 2));
    return success();
  }
  if (const auto format = llama_format_from_name(arguments.output)) {
    fmt::print("{}", render_llama_rows(llama_rows(records), *format));
    return success();
  }
  if (!arguments.output.empty()) {
    ASSAY_TRY_VOID(write_text_file(arguments.output, to_text(document_of(records), 1) + "\n"));
    return success();
  }
  print_table(records, !plan.programs.empty());
  print_quality(records);
  print_notes(records);
  if (plan.preset == "localscore") print_local_scores(plan, records);
  return success();
}

int list_cases(const BenchPlan& plan) {
  for (const PlannedCase& which : plan.cases) {
    const CaseSettings& s = which.settings;
    fmt::print("{}  {}  {}  t{} b{} ub{} {}/{}{}{}\n", terminal_safe(plan.models[which.model].name), test_name(s), which.engine, s.threads, s.batch, s.ubatch, s.kv_keys, s.kv_values,
               s.isa.empty() ? "" : " " + s.isa, s.backend == "cpu" ? "" : " " + s.backend);
  }
  return kExitYes;
}

Result<> make_synthetic_models(BenchPlan& plan, const ProgressChoice& progress) {
  ProgressPrinter printer(stderr, progress_options(progress));
  const auto show = [&](const ProgressEvent& event) {
    printer.show(event);
    return !stop_requested();
  };
  for (PlannedModel& model : plan.models) {
    constexpr std::string_view kPrefix = "synth:";
    std::error_code ignored;
    if (!model.path.starts_with(kPrefix) || std::filesystem::exists(model.path, ignored)) continue;
    ASSAY_TRY(const SynthSpec spec, parse_synth_spec(std::string_view(model.path).substr(kPrefix.size())));
    const SynthLayout layout = layout_for(spec.quant);
    model.name = fmt::format("{}-{}", spec.shape->name, spec.quant);
    const std::filesystem::path file = cache_folder() / "synth" / (model.name + (layout == SynthLayout::gguf ? ".gguf" : ""));
    model.path = file.string();
    if (std::filesystem::exists(file, ignored)) continue;
    std::filesystem::create_directories(file.parent_path(), ignored);
    ASSAY_TRY([[maybe_unused]] const auto made, synthesize(*spec.shape, spec.quant, {.layout = layout, .threads = std::min(available_threads(), 4)}, file, show));
  }
  printer.clear();
  return success();
}

}  // namespace assay
