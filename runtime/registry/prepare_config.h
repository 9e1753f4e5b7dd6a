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

  static constexpr auto fields() {
    using H = HardwareLimits;
    constexpr Better none = Better::none;
    return std::tuple(Field{"memory", "B", none, &H::memory_bytes},
                      Field{"free_memory", "B", none, &H::free_memory_bytes}, Field{"disk", "B", none, &H::disk_bytes},
                      Field{"temp", "B", none, &H::temp_bytes}, Field{"threads", "", none, &H::threads},
                      Field{"gpu", "", none, &H::gpu}, Field{"network", "", none, &H::network});
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

  static constexpr auto fields() {
    using L = LoadSettings;
    constexpr Better none = Better::none;
    return std::tuple(Field{"context", "tok", none, &L::context}, Field{"batch", "tok", none, &L::batch},
                      Field{"threads", "", none, &L::threads}, Field{"kv", "", none, &L::kv},
                      Field{"backend", "", none, &L::backend}, Field{"isa", "", none, &L::isa},
                      Field{"quantization", "", none, &L::quantization});
  }
};

// What replaces settings of `load` when the attempts before did not fit.
struct Fallback {
  std::optional<std::uint32_t> context, batch, threads;
  std::optional<std::string> kv, quantization, model;

  static constexpr auto fields() {
    using F = Fallback;
    constexpr Better none = Better::none;
    return std::tuple(Field{"context", "tok", none, &F::context}, Field{"batch", "tok", none, &F::batch},
                      Field{"threads", "", none, &F::threads}, Field{"kv", "", none, &F::kv},
                      Field{"quantization", "", none, &F::quantization}, Field{"model", "", none, &F::model});
  }
};

struct SamplingSettings {
  double temperature = 0, top_p = 0.95, min_p = 0.05, repetition_penalty = 1;
  std::uint32_t top_k = 40, repetition_window = 64;
  std::uint64_t seed = 0;

  static constexpr auto fields() {
    using S = SamplingSettings;
    constexpr Better none = Better::none;
    return std::tuple(Field{"temperature", "", none, &S::temperature}, Field{"top_p", "", none, &S::top_p},
                      Field{"min_p", "", none, &S::min_p},
                      Field{"repetition_penalty", "", none, &S::repetition_penalty},
                      Field{"top_k", "", none, &S::top_k}, Field{"repetition_window", "", none, &S::repetition_window},
                      Field{"seed", "", none, &S::seed});
  }
};

// What the loaded model may use at most. 0: what there is.
struct UseBounds {
  std::uint64_t memory_bytes = 0;
  std::uint64_t device_bytes = 0;  // of a GPU's memory

  static constexpr auto fields() {
    return std::tuple(Field{"memory", "B", Better::none, &UseBounds::memory_bytes},
                      Field{"device_memory", "B", Better::none, &UseBounds::device_bytes});
  }
};

struct HealthSettings {
  std::string prompt = "Once upon a time";
  std::uint32_t tokens = 16;
  double decode_tps = 0;  // at least

  static constexpr auto fields() {
    using H = HealthSettings;
    constexpr Better none = Better::none;
    return std::tuple(Field{"prompt", "", none, &H::prompt}, Field{"tokens", "tok", none, &H::tokens},
                      Field{"decode_tps", "tok/s", none, &H::decode_tps});
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

  static constexpr auto fields() {
    using P = PrepareConfig;
    constexpr Better none = Better::none;
    return std::tuple(Field{"model", "", none, &P::model}, Field{"repository", "", none, &P::repository},
                      Field{"revision", "", none, &P::revision}, Field{"files", "", none, &P::files},
                      Field{"hardware", "", none, &P::hardware}, Field{"load", "", none, &P::load},
                      Field{"fallbacks", "", none, &P::fallbacks}, Field{"sampling", "", none, &P::sampling},
                      Field{"bounds", "", none, &P::bounds}, Field{"health", "", none, &P::health});
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
