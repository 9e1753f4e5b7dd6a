// Reads assay.yaml and checks what its values mean.
#include "runtime/registry/prepare_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/engine/sampler.h"
#include "runtime/engine/session.h"
#include "runtime/hub/source.h"
#include "runtime/kernels/cpu/table.h"
#include "runtime/registry/prepare.h"

namespace assay {

namespace {

constexpr std::uint32_t kLongestContext = 1u << 24, kLargestBatch = 1u << 20, kMostThreads = 4096,
                        kMostHealthTokens = 4096;

// The place of a key's value, or of the nearest thing above it that is there.
YamlPlace place_of(const YamlNode& document, std::string_view path) {
  const YamlNode* node = &document;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find_first_of(".["), path.size());
    const YamlNode* next = node->find(path.substr(0, end));
    if (next == nullptr) break;
    node = next;
    path.remove_prefix(end);
    if (path.starts_with('[')) {
      const std::size_t close = path.find(']');
      const std::size_t index = static_cast<std::size_t>(std::atoi(std::string(path.substr(1, close - 1)).c_str()));
      if (index < 1 || index > node->elements.size()) break;
      node = &node->elements[index - 1];
      path.remove_prefix(close + 1);
    }
    if (path.starts_with('.')) path.remove_prefix(1);
  }
  return node->place;
}

class Checker {
 public:
  Checker(const YamlNode& document, std::vector<YamlProblem>& problems) : document_(document), problems_(problems) {}

  void wrong(const std::string& key, std::string message) {
    const YamlPlace place = place_of(document_, key);
    problems_.push_back({key, place.line, place.column, std::move(message)});
  }
  void at_most(const std::string& key, std::uint64_t value, std::uint64_t most) {
    if (value > most) wrong(key, fmt::format("must be at most {}", most));
  }
  void kv(const std::string& key, const std::string& name) {
    if (!kv_type_from_name(name)) wrong(key, fmt::format("must be f32, f16 or q8_0, not \"{}\"", name));
  }
  void quantization(const std::string& key, const std::string& name) {
    const bool is_plain =
        std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
    if (!is_plain) wrong(key, fmt::format("must be a name such as Q4_K_M, not \"{}\"", name));
  }

 private:
  const YamlNode& document_;
  std::vector<YamlProblem>& problems_;
};

void check_source(const PrepareConfig& config, Checker& check) {
  if (config.model.empty() == config.repository.empty())
    check.wrong(config.model.empty() ? "" : "repository",
                "exactly one of model (path, catalogue id, ORG/REPO[:QUANT]) and repository (ORG/REPO) must be given");
  if (!config.repository.empty() &&
      (!is_repository_name(config.repository) || config.repository.find(':') != std::string::npos))
    check.wrong("repository", fmt::format("must be ORG/REPO, not \"{}\"", config.repository));
  if (config.repository.empty() && !config.revision.empty()) check.wrong("revision", "goes with repository");
  if (config.repository.empty() && !config.files.empty()) check.wrong("files", "goes with repository");
  for (std::size_t i = 0; i < config.files.size(); ++i)
    if (config.files[i].empty()) check.wrong(fmt::format("files[{}]", i + 1), "must not be empty");
}

void check_load(const PrepareConfig& config, Checker& check) {
  const LoadSettings& load = config.load;
  check.at_most("load.context", load.context, kLongestContext);
  check.at_most("load.batch", load.batch, kLargestBatch);
  if (load.batch == 0) check.wrong("load.batch", "must be at least 1");
  check.at_most("load.threads", load.threads, kMostThreads);
  check.kv("load.kv", load.kv);
  check.quantization("load.quantization", load.quantization);
  if (!backend_from_name(load.backend))
    check.wrong("load.backend", fmt::format("must be one of {}, not \"{}\"", kKnownBackends, load.backend));
  std::string isas;
  bool is_known = load.isa.empty();
  for (const Kernels* kernels : all_kernels()) {
    isas += (isas.empty() ? "" : ", ") + std::string(kernels->name);
    is_known = is_known || load.isa == kernels->name;
  }
  if (!is_known) check.wrong("load.isa", fmt::format("must be one of {}, not \"{}\"", isas, load.isa));
}

void check_fallbacks(const PrepareConfig& config, Checker& check) {
  for (std::size_t i = 0; i < config.fallbacks.size(); ++i) {
    const Fallback& fallback = config.fallbacks[i];
    const std::string key = fmt::format("fallbacks[{}]", i + 1);
    if (!fallback.context && !fallback.batch && !fallback.threads && !fallback.kv && !fallback.quantization &&
        !fallback.model)
      check.wrong(key, "changes nothing: give context, batch, threads, kv, quantization or model");
    check.at_most(key + ".context", fallback.context.value_or(0), kLongestContext);
    check.at_most(key + ".batch", fallback.batch.value_or(1), kLargestBatch);
    if (fallback.batch == 0u) check.wrong(key + ".batch", "must be at least 1");
    check.at_most(key + ".threads", fallback.threads.value_or(0), kMostThreads);
    if (fallback.kv) check.kv(key + ".kv", *fallback.kv);
    if (fallback.quantization) check.quantization(key + ".quantization", *fallback.quantization);
    if (fallback.model && fallback.model->empty()) check.wrong(key + ".model", "must not be empty");
  }
}

void check_values(const PrepareConfig& config, Checker& check) {
  check_source(config, check);
  check_load(config, check);
  check_fallbacks(config, check);
  if (const auto sampling = assay::check(sampler_options(config.sampling)); !sampling)
    check.wrong("sampling", sampling.error().message());
  check.at_most("hardware.threads", config.hardware.threads, kMostThreads);
  check.at_most("health.tokens", config.health.tokens, kMostHealthTokens);
  if (config.health.tokens == 0) check.wrong("health.tokens", "must be at least 1");
  if (config.health.prompt.empty()) check.wrong("health.prompt", "must not be empty");
  if (config.health.decode_tps < 0) check.wrong("health.decode_tps", "must not be negative");
}

template <class T>
void take(T& setting, const std::optional<T>& change, const char* name, std::string& told) {
  if (!change) return;
  setting = *change;
  told += fmt::format("{}{} {}", told.empty() ? "" : ", ", name, *change);
}

}  // namespace

SamplerOptions sampler_options(const SamplingSettings& sampling) {
  return {.temperature = static_cast<float>(sampling.temperature),
          .top_k = sampling.top_k,
          .top_p = static_cast<float>(sampling.top_p),
          .min_p = static_cast<float>(sampling.min_p),
          .repetition_penalty = static_cast<float>(sampling.repetition_penalty),
          .repetition_window = sampling.repetition_window,
          .seed = sampling.seed};
}

ReadConfig read_prepare_config(const YamlNode& document) {
  ReadConfig out;
  read_yaml(document, out.config, out.problems);
  if (document.kind != YamlNode::Kind::map) return out;
  Checker check(document, out.problems);
  check_values(out.config, check);
  std::stable_sort(out.problems.begin(), out.problems.end(), [](const YamlProblem& a, const YamlProblem& b) {
    return std::tuple(a.line, a.column) < std::tuple(b.line, b.column);
  });
  return out;
}

Result<ReadConfig> read_prepare_config(const std::filesystem::path& path) {
  ASSAY_TRY(const YamlNode document, read_yaml_file(path));
  return read_prepare_config(document);
}

std::vector<Attempt> attempts_of(const PrepareConfig& config) {
  std::vector<Attempt> out = {{"", config.load, ""}};
  for (const Fallback& fallback : config.fallbacks) {
    Attempt next{"", config.load, ""};
    take(next.model, fallback.model, "model", next.change);
    take(next.load.quantization, fallback.quantization, "quantization", next.change);
    take(next.load.context, fallback.context, "context", next.change);
    take(next.load.batch, fallback.batch, "batch", next.change);
    take(next.load.threads, fallback.threads, "threads", next.change);
    take(next.load.kv, fallback.kv, "kv", next.change);
    out.push_back(std::move(next));
  }
  return out;
}

}  // namespace assay
