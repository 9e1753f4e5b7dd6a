// What assay info tells about a model: facts gathered once, shown as text or as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/core/json.h"
#include "runtime/formats/model_file.h"
#include "runtime/model/config.h"
#include "runtime/model/memory_plan.h"

namespace assay {

// All tensors of one type.
struct TypeShare {
  FormatId format = FormatId::F32;
  std::uint64_t tensors = 0, values = 0, bytes = 0;
  double bits_per_weight() const {
    return values == 0 ? 0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(values);
  }
};

struct TokenizerFacts {
  std::string kind, pre_tokenizer;
  std::uint64_t vocabulary = 0;
  std::optional<std::int32_t> bos, eos;
  bool adds_bos = false;
};

struct ChatFacts {
  std::string origin{};  // where the template stands
  std::uint64_t bytes = 0;
  std::string problem{};     // why it cannot be rendered; empty: it can
  std::string doubt{};       // what it might fail on
  std::string looks_like{};  // the built-in format that can stand in for it
};

// Where something cannot be told, `..._problem` says why.
struct FileFacts {
  std::string format;        // "GGUF v3", "safetensors", "sharded safetensors", with ", MLX" where it applies
  std::string architecture;  // as the file says it; empty when it does not
  std::string name;
  std::string mix;  // "Q4_K_M", where the file says it
  std::uint64_t file_bytes = 0, files = 0;
  std::uint64_t parameters = 0, weight_bytes = 0;
  std::vector<TypeShare> types;  // largest first
  std::optional<Config> config;
  std::string config_problem;
  std::optional<std::uint64_t> context;  // trained, also for architectures that do not run here
  std::optional<TokenizerFacts> tokenizer;
  std::string tokenizer_problem;
  std::optional<ChatFacts> chat;
  std::string chat_problem;
  bool is_tied = false;
  std::vector<std::string> unused;  // tensors that are no part of the decoder: an image encoder's
  PlanOptions plan_options;
  std::optional<MemoryPlan> plan;
  std::string plan_problem;
  double bits_per_weight() const {
    return parameters == 0 ? 0 : 8.0 * static_cast<double>(weight_bytes) / static_cast<double>(parameters);
  }
};

// `options.context` 0: the model's own, at most 4096.
FileFacts gather_facts(const ModelFile& file, PlanOptions options);

Json facts_json(const ModelFile& file, const FileFacts& facts);
Json tensors_json(const ModelFile& file);
Json metadata_json(const ModelFile& file);

// One value for a terminal line: strings quoted and shortened, arrays as their type, length and first elements.
std::string metadata_text(const MetaEntry& entry);

// "[2048 x 8192]", slowest dimension first.
std::string shape_text(const TensorView& tensor);

}  // namespace assay
