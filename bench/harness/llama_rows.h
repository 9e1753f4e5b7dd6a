// Records in llama-bench's own forms: its Markdown table, and rows of its field names as JSON, JSON lines, CSV and SQL.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "bench/harness/case_run.h"

namespace assay {

// One test of llama-bench: a case gives a row for its prompt and one for its generation, a joined case one for both.
struct LlamaRow {
  std::string build_commit;
  std::uint64_t build_number = 0;
  std::string cpu_info, gpu_info, backends;
  std::string model_filename, model_type;
  std::uint64_t model_size = 0, model_n_params = 0;
  std::uint32_t n_batch = 0, n_ubatch = 0;
  int n_threads = 0;
  std::string cpu_mask = "0x0";
  std::string type_k, type_v;
  int n_gpu_layers = 0;
  bool flash_attn = true, use_mmap = true;
  std::uint32_t n_prompt = 0, n_gen = 0, n_depth = 0;
  std::string test_time;
  std::optional<double> avg_ns, stddev_ns, avg_ts, stddev_ts;  // nothing when the case failed
  std::vector<double> samples_ns, samples_ts;
  std::string engine, status, reason;  // not llama-bench's: who measured, and why a row has no numbers

  static constexpr void fields(auto visit) {
    using L = LlamaRow;
    constexpr Better none = Better::none;
    visit("build_commit", "", none, &L::build_commit);
    visit("build_number", "", none, &L::build_number);
    visit("cpu_info", "", none, &L::cpu_info);
    visit("gpu_info", "", none, &L::gpu_info);
    visit("backends", "", none, &L::backends);
    visit("model_filename", "", none, &L::model_filename);
    visit("model_type", "", none, &L::model_type);
    visit("model_size", "", none, &L::model_size);
    visit("model_n_params", "", none, &L::model_n_params);
    visit("n_batch", "", none, &L::n_batch);
    visit("n_ubatch", "", none, &L::n_ubatch);
    visit("n_threads", "", none, &L::n_threads);
    visit("cpu_mask", "", none, &L::cpu_mask);
    visit("type_k", "", none, &L::type_k);
    visit("type_v", "", none, &L::type_v);
    visit("n_gpu_layers", "", none, &L::n_gpu_layers);
    visit("flash_attn", "", none, &L::flash_attn);
    visit("use_mmap", "", none, &L::use_mmap);
    visit("n_prompt", "", none, &L::n_prompt);
    visit("n_gen", "", none, &L::n_gen);
    visit("n_depth", "", none, &L::n_depth);
    visit("test_time", "", none, &L::test_time);
    visit("avg_ns", "", none, &L::avg_ns);
    visit("stddev_ns", "", none, &L::stddev_ns);
    visit("avg_ts", "", none, &L::avg_ts);
    visit("stddev_ts", "", none, &L::stddev_ts);
    visit("samples_ns", "", none, &L::samples_ns);
    visit("samples_ts", "", none, &L::samples_ts);
    visit("engine", "", none, &L::engine);
    visit("status", "", none, &L::status);
    visit("reason", "", none, &L::reason);
  }
};
std::vector<LlamaRow> llama_rows(std::span<const CaseRun> records);

enum class LlamaFormat : std::uint8_t { md, json, jsonl, csv, sql };
std::optional<LlamaFormat> llama_format_from_name(std::string_view name);
std::string render_llama_rows(std::span<const LlamaRow> rows, LlamaFormat format);

// Text as an SQL literal, quotes doubled.
std::string sql_literal(const Json& value);

}  // namespace assay
