// Config from GGUF keys and from config.json: two readers, one check.
#include "runtime/model/config.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace assay {

namespace {

constexpr std::uint32_t kMaxLayers = 1024;
constexpr std::uint32_t kMaxWidth = 1u << 20;
constexpr std::uint32_t kMaxContext = 1u << 28;

Error with_file(Error error, const std::filesystem::path& path) {
  if (error.file.empty()) error.file = path.string();
  return error;
}

// Keys of one GGUF architecture: "llama." + name.
class GgufKeys {
 public:
  GgufKeys(const Metadata& metadata, std::string prefix) : metadata_(metadata), prefix_(std::move(prefix)) {}

  std::string key(std::string_view name) const { return prefix_ + std::string(name); }
  bool has(std::string_view name) const { return metadata_.has(key(name)); }

  Result<std::uint32_t> count(std::string_view name, std::uint32_t limit) const {
    ASSAY_TRY(const std::uint64_t value, metadata_.unsigned_integer(key(name)));
    if (value == 0 || value > limit) return Error{Code::range, key(name), fmt::format("is {}, expected 1 to {}", value, limit)};
    return static_cast<std::uint32_t>(value);
  }
  Result<std::uint32_t> count_or(std::string_view name, std::uint32_t limit, std::uint32_t otherwise) const {
    if (!has(name)) return otherwise;
    return count(name, limit);
  }
  // Finite and above zero.
  Result<float> positive(std::string_view name) const {
    ASSAY_TRY(const double value, metadata_.number(key(name)));
    if (!(value > 0) || !std::isfinite(value)) return Error{Code::range, key(name), fmt::format("is {}, expected a positive number", value)};
    return static_cast<float>(value);
  }
  Result<float> positive_or(std::string_view name, float otherwise) const {
    if (!has(name)) return otherwise;
    return positive(name);
  }
  // A count that some files give once per layer: all entries must agree.
  Result<std::uint32_t> uniform_count(std::string_view name, std::uint32_t limit) const {
    const MetaEntry* entry = metadata_.find(key(name));
    if (entry == nullptr || entry->type != MetaType::array) return count(name, limit);
    ASSAY_TRY(const std::vector<std::int64_t> values, metadata_.integers(key(name)));
    for (std::int64_t value : values)
      if (value != values.front()) return Error{Code::unsupported, key(name), "differs from layer to layer, which is not supported yet"};
    if (values.empty() || values.front() < 1 || values.front() > limit) return Error{Code::range, key(name), fmt::format("expected 1 to {}", limit)};
    return static_cast<std::uint32_t>(values.front());
  }

 private:
  const Metadata& metadata_;
  std::string prefix_;
};

Result<RopeConfig> read_gguf_rope(const GgufKeys& keys, const Metadata& metadata, const Config& config) {
  RopeConfig rope;
  rope.adjacent_pairs = config.arch->gguf_adjacent_pairs;
  ASSAY_TRY(rope.dims, keys.count_or("rope.dimension_count", config.head_dim, config.head_dim));
  ASSAY_TRY(rope.base, keys.positive_or("rope.freq_base", 10000.0f));
  if (keys.has("rope.scale_linear")) {  // old files
    rope.scaling = RopeScaling::linear;
    ASSAY_TRY(rope.factor, keys.positive("rope.scale_linear"));
  }
  if (!keys.has("rope.scaling.type")) return rope;
  ASSAY_TRY(const std::string_view type, metadata.string(keys.key("rope.scaling.type")));
  if (type == "none") {
    rope.scaling = RopeScaling::none;
    return rope;
  }
  if (type == "linear") {
    rope.scaling = RopeScaling::linear;
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::yarn;
    ASSAY_TRY(rope.original_context, keys.count("rope.scaling.original_context_length", kMaxContext));
  } else {
    return Error{Code::unsupported, keys.key("rope.scaling.type"), fmt::format("\"{}\" is not supported; known: none, linear, yarn", type)};
  }
  ASSAY_TRY(rope.factor, keys.positive("rope.scaling.factor"));
  ASSAY_TRY(rope.attention_factor, keys.positive_or("rope.scaling.attn_factor", 1.0f));
  return rope;
}

Result<Config> read_gguf_config(const ModelFile& file) {
  const Metadata& metadata = file.metadata;
  ASSAY_TRY(const std::string_view name, metadata.string("general.architecture"));
  Config config;
  config.arch = arch_from_gguf(name);
  if (config.arch == nullptr)
    return Error{Code::unsupported, "general.architecture", fmt::format("\"{}\" is not an architecture Assay runs; known: {}", name, known_architectures())};

  const GgufKeys keys(metadata, std::string(name) + ".");
  ASSAY_TRY(config.layers, keys.count("block_count", kMaxLayers));
  ASSAY_TRY(config.embedding, keys.count("embedding_length", kMaxWidth));
  ASSAY_TRY(config.feed_forward, keys.uniform_count("feed_forward_length", kMaxWidth));
  ASSAY_TRY(config.heads, keys.uniform_count("attention.head_count", kMaxWidth));
  config.kv_heads = config.heads;
  if (keys.has("attention.head_count_kv")) {
    ASSAY_TRY(config.kv_heads, keys.uniform_count("attention.head_count_kv", kMaxWidth));
  }
  ASSAY_TRY(config.head_dim, keys.count_or("attention.key_length", kMaxWidth, std::max(1u, config.embedding / config.heads)));
  ASSAY_TRY(const std::uint32_t value_length, keys.count_or("attention.value_length", kMaxWidth, config.head_dim));
  if (value_length != config.head_dim)
    return Error{Code::unsupported, keys.key("attention.value_length"), fmt::format("is {}, the key length is {}; different sizes are not supported yet", value_length, config.head_dim)};
  ASSAY_TRY(config.context, keys.count("context_length", kMaxContext));
  ASSAY_TRY(config.norm_epsilon, keys.positive("attention.layer_norm_rms_epsilon"));
  if (keys.has("expert_count")) {
    ASSAY_TRY(const std::uint64_t experts, metadata.unsigned_integer(keys.key("expert_count")));
    if (experts > 0) return Error{Code::unsupported, keys.key("expert_count"), fmt::format("is {}; mixture-of-experts models are not supported yet", experts)};
  }
  ASSAY_TRY(config.rope, read_gguf_rope(keys, metadata, config));

  // The token embedding decides the vocabulary; the key and the tokenizer are held against it by the weight table.
  const TensorView* embedding = file.find("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2)
    return Error{Code::missing, "token_embd.weight", "no token embedding matrix in the file; without it the vocabulary is unknown"};
  config.vocabulary = static_cast<std::uint32_t>(std::min<std::uint64_t>(embedding->shape[0], std::numeric_limits<std::uint32_t>::max()));
  return config;
}

// Members of config.json.
class JsonKeys {
 public:
  explicit JsonKeys(const Json& json) : json_(json) {}

  const Json* find(std::string_view name) const {
    const Json* value = json_.find(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  Result<std::uint32_t> count(std::string_view name, std::uint32_t limit) const {
    const Json* value = find(name);
    if (value == nullptr) return Error{Code::missing, std::string(name), "config.json lacks this key"};
    const auto number = value->unsigned_integer();
    if (!number) return Error{Code::type, std::string(name), "config.json holds something other than a whole number here"};
    if (*number == 0 || *number > limit) return Error{Code::range, std::string(name), fmt::format("config.json says {}, expected 1 to {}", *number, limit)};
    return static_cast<std::uint32_t>(*number);
  }
  Result<std::uint32_t> count_or(std::string_view name, std::uint32_t limit, std::uint32_t otherwise) const {
    if (find(name) == nullptr) return otherwise;
    return count(name, limit);
  }
  Result<float> positive_or(std::string_view name, float otherwise) const {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    const auto number = value->number();
    if (!number || !(*number > 0) || !std::isfinite(*number)) return Error{Code::range, std::string(name), "config.json holds something other than a positive number here"};
    return static_cast<float>(*number);
  }
  Result<std::string> text_or(std::string_view name, std::string otherwise) const {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    const std::string* text = value->string();
    if (text == nullptr) return Error{Code::type, std::string(name), "config.json holds something other than a string here"};
    return *text;
  }

 private:
  const Json& json_;
};

Result<> read_hf_rope_scaling(const Json& scaling, RopeConfig& rope) {
  const JsonKeys keys(scaling);
  ASSAY_TRY(const std::string old_name, keys.text_or("type", "default"));
  ASSAY_TRY(const std::string type, keys.text_or("rope_type", old_name));
  if (type == "default") return success();
  ASSAY_TRY(rope.factor, keys.positive_or("factor", 1.0f));
  ASSAY_TRY(rope.original_context, keys.count_or("original_max_position_embeddings", kMaxContext, 0));
  if (type == "linear") {
    rope.scaling = RopeScaling::linear;
  } else if (type == "llama3") {
    rope.scaling = RopeScaling::llama3;
    ASSAY_TRY(rope.low_frequency_factor, keys.positive_or("low_freq_factor", 1.0f));
    ASSAY_TRY(rope.high_frequency_factor, keys.positive_or("high_freq_factor", 4.0f));
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::yarn;
    ASSAY_TRY(rope.beta_fast, keys.positive_or("beta_fast", 32.0f));
    ASSAY_TRY(rope.beta_slow, keys.positive_or("beta_slow", 1.0f));
    // Here the key, where present, is the whole factor; RopeConfig keeps what stands beside 1 + 0.1 ln(factor).
    const float natural = 1.0f + 0.1f * std::log(rope.factor);
    ASSAY_TRY(const float whole, keys.positive_or("attention_factor", natural));
    rope.attention_factor = whole / natural;
  } else {
    return Error{Code::unsupported, "rope_scaling.rope_type", fmt::format("\"{}\" is not supported; known: default, linear, llama3, yarn", type)};
  }
  if (rope.scaling != RopeScaling::linear && rope.original_context == 0)
    return Error{Code::missing, "rope_scaling.original_max_position_embeddings", fmt::format("config.json needs it for {} scaling", type)};
  return success();
}

Result<Config> read_hf_config(const ModelFile& file) {
  if (!file.config.is_object()) return Error{Code::missing, "config.json", "not found beside the weights; it holds the model's dimensions, download it too"};
  const JsonKeys keys(file.config);
  ASSAY_TRY(const std::string name, keys.text_or("model_type", ""));
  Config config;
  config.arch = arch_from_hf(name);
  if (config.arch == nullptr)
    return Error{Code::unsupported, "model_type", fmt::format("\"{}\" is not an architecture Assay runs; known: {}", name, known_architectures())};

  ASSAY_TRY(const std::string activation, keys.text_or("hidden_act", "silu"));
  if (activation != "silu") return Error{Code::unsupported, "hidden_act", fmt::format("\"{}\" is not supported for {}; known: silu", activation, name)};
  ASSAY_TRY(config.layers, keys.count("num_hidden_layers", kMaxLayers));
  ASSAY_TRY(config.embedding, keys.count("hidden_size", kMaxWidth));
  ASSAY_TRY(config.feed_forward, keys.count("intermediate_size", kMaxWidth));
  ASSAY_TRY(config.heads, keys.count("num_attention_heads", kMaxWidth));
  ASSAY_TRY(config.kv_heads, keys.count_or("num_key_value_heads", kMaxWidth, config.heads));
  ASSAY_TRY(config.head_dim, keys.count_or("head_dim", kMaxWidth, std::max(1u, config.embedding / config.heads)));
  ASSAY_TRY(config.vocabulary, keys.count("vocab_size", std::numeric_limits<std::uint32_t>::max()));
  ASSAY_TRY(config.context, keys.count_or("max_position_embeddings", kMaxContext, 2048));
  ASSAY_TRY(config.norm_epsilon, keys.positive_or("rms_norm_eps", 1e-6f));
  config.rope.dims = config.head_dim;
  ASSAY_TRY(config.rope.base, keys.positive_or("rope_theta", 10000.0f));
  for (const char* key : {"rope_scaling", "rope_parameters"})
    if (const Json* scaling = keys.find(key)) {
      ASSAY_TRY_VOID(read_hf_rope_scaling(*scaling, config.rope));
      if (scaling->find("rope_theta") != nullptr) {
        ASSAY_TRY(config.rope.base, JsonKeys(*scaling).positive_or("rope_theta", config.rope.base));
      }
    }
  return config;
}

Result<Config> check(Config config) {
  if (config.heads % config.kv_heads != 0)
    return Error{Code::range, "attention.head_count_kv", fmt::format("{} query heads cannot share {} key-value heads evenly", config.heads, config.kv_heads)};
  if (config.rope.dims > config.head_dim || config.rope.dims % 2 != 0)
    return Error{Code::range, "rope.dimension_count", fmt::format("is {}, expected an even number up to the head size {}", config.rope.dims, config.head_dim)};
  if (std::uint64_t{config.heads} * config.head_dim > kMaxWidth)
    return Error{Code::range, "attention.head_count", fmt::format("{} heads of {} values are more than {}", config.heads, config.head_dim, kMaxWidth)};
  return config;
}

}  // namespace

Result<Config> read_config(const ModelFile& file) {
  auto config = file.kind == FileKind::gguf ? read_gguf_config(file) : read_hf_config(file);
  if (!config) return with_file(std::move(config).error(), file.path);
  auto checked = check(std::move(*config));
  if (!checked) return with_file(std::move(checked).error(), file.path);
  return checked;
}

}  // namespace assay
