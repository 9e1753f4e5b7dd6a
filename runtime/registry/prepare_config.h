// PrepareConfig: an assay.yaml file: which model, on what machine, loaded how, and what to do when that does not fit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/registry/catalogue.h"
#include "runtime/registry/yaml.h"

namespace assay {

// What the machine must have. 0: no matter.
struct HardwareLimits {
  std::uint64_t memory_bytes = 0;       // in the machine
  std::uint64_t free_memory_bytes = 0;  // free now
  std::uint64_t disk_bytes = 0;         // free where models go
  std::uint64_t temp_bytes = 0;         // free in the folder for temporary files
  std::uint32_t threads = 0;
  GpuNeed gpu = GpuNeed::none;
  bool network = false;  // the hub must answer even when all files are here

  static constexpr void fields(auto visit) {
    using H = HardwareLimits;
    constexpr Better none = Better::none;
    visit("memory", "B", none, &H::memory_bytes);
    visit("free_memory", "B", none, &H::free_memory_bytes);
    visit("disk", "B", none, &H::disk_bytes);
    visit("temp", "B", none, &H::temp_bytes);
    visit("threads", "", none, &H::threads);
    visit("gpu", "", none, &H::gpu);
    visit("network", "", none, &H::network);
  }
};

struct LoadSettings {
  std::uint32_t context = 0;  // 0: the model's own, at most 4096
  std::uint32_t batch = 512;
  std::uint32_t threads = 0;  // 0: the fastest of a few, measured
  std::string kv = "f16";
  std::string backend = "cpu";
  std::string isa;
  std::string quantization;  // of the files to take; empty: Q4_K_M, then Q8_0, then the only one

  static constexpr void fields(auto visit) {
    using L = LoadSettings;
    constexpr Better none = Better::none;
    visit("context", "tok", none, &L::context);
    visit("batch", "tok", none, &L::batch);
    visit("threads", "", none, &L::threads);
    visit("kv", "", none, &L::kv);
    visit("backend", "", none, &L::backend);
    visit("isa", "", none, &L::isa);
    visit("quantization", "", none, &L::quantization);
  }
};

// What replaces settings of `load` when the attempts before did not fit.
struct Fallback {
  std::optional<std::uint32_t> context, batch, threads;
  std::optional<std::string> kv, quantization, model;

  static constexpr void fields(auto visit) {
    using F = Fallback;
    constexpr Better none = Better::none;
    visit("context", "tok", none, &F::context);
    visit("batch", "tok", none, &F::batch);
    visit("threads", "", none, &F::threads);
    visit("kv", "", none, &F::kv);
    visit("quantization", "", none, &F::quantization);
    visit("model", "", none, &F::model);
  }
};

struct SamplingSettings {
  double temperature = 0, top_p = 0.95, min_p = 0.05, repetition_penalty = 1;
  std::uint32_t top_k = 40, repetition_window = 64;
  std::uint64_t seed = 0;

  static constexpr void fields(auto visit) {
    using S = SamplingSettings;
    constexpr Better none = Better::none;
    visit("temperature", "", none, &S::temperature);
    visit("top_p", "", none, &S::top_p);
    visit("min_p", "", none, &S::min_p);
    visit("repetition_penalty", "", none, &S::repetition_penalty);
    visit("top_k", "", none, &S::top_k);
    visit("repetition_window", "", none, &S::repetition_window);
    visit("seed", "", none, &S::seed);
  }
};

// What the loaded model may use at most. 0: what there is.
struct UseBounds {
  std::uint64_t memory_bytes = 0;
  std::uint64_t device_bytes = 0;  // of a GPU's memory

  static constexpr void fields(auto visit) {
    visit("memory", "B", Better::none, &UseBounds::memory_bytes);
    visit("device_memory", "B", Better::none, &UseBounds::device_bytes);
  }
};

struct HealthSettings {
  std::string prompt = "Once upon a time";
  std::uint32_t tokens = 16;
  double decode_tps = 0;  // at least

  static constexpr void fields(auto visit) {
    using H = HealthSettings;
    constexpr Better none = Better::none;
    visit("prompt", "", none, &H::prompt);
    visit("tokens", "tok", none, &H::tokens);
    visit("decode_tps", "tok/s", none, &H::decode_tps);
  }
};

struct PrepareConfig {
  std::string model;               // path, catalogue id, ORG/REPO[:QUANT]; or:
  std::string repository;          // ORG/REPO
  std::string revision;            // branch, tag or commit; empty: main
  std::vector<std::string> files;  // globs; empty: the files that make the model
  HardwareLimits hardware;
  LoadSettings load;
  std::vector<Fallback> fallbacks;
  SamplingSettings sampling;
  UseBounds bounds;
  HealthSettings health;

  static constexpr void fields(auto visit) {
    using P = PrepareConfig;
    constexpr Better none = Better::none;
    visit("model", "", none, &P::model);
    visit("repository", "", none, &P::repository);
    visit("revision", "", none, &P::revision);
    visit("files", "", none, &P::files);
    visit("hardware", "", none, &P::hardware);
    visit("load", "", none, &P::load);
    visit("fallbacks", "", none, &P::fallbacks);
    visit("sampling", "", none, &P::sampling);
    visit("bounds", "", none, &P::bounds);
    visit("health", "", none, &P::health);
  }
};

struct ReadConfig {
  PrepareConfig config;
  std::vector<YamlProblem> problems;  // all of them; the config is of use when there are none
};
// Errors: not_found, io, and malformed where the text is no YAML.
Result<ReadConfig> read_prepare_config(const std::filesystem::path& path);
ReadConfig read_prepare_config(const YamlNode& document);

// The load settings of each attempt: those of `load`, then one for each fallback.
struct Attempt {
  std::string model;  // as source; empty: the config's own
  LoadSettings load;
  std::string change;  // "context 2048, quantization Q4_0"; empty for the first
};
std::vector<Attempt> attempts_of(const PrepareConfig& config);

}  // namespace assay
