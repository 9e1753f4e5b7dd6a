// Hyper-parameters: GGUF keys and config.json held against what a model needs, one table for both.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "runtime/model/config.h"
#include "runtime/validate/architectures.h"
#include "runtime/validate/subject.h"

namespace assay::validation {

namespace {

enum class Kind : std::uint8_t { count, number };

// One hyper-parameter. `gguf` follows "ARCHITECTURE."; an empty name: that kind of file has no such key.
struct KeyRow {
  std::string_view gguf;
  std::string_view json;
  Kind kind;
  double least, most;
  bool gguf_needs = false, json_needs = false;
  std::array<std::string_view, 2> json_too{};  // other families' names for it
  std::optional<NormKind> of = std::nullopt;  // needed by families with this norm
};
constexpr double kAny = 1e30;
constexpr std::array kKeys = {
    KeyRow{"block_count", "num_hidden_layers", Kind::count, 1, 1024, true, true, {"num_layers", "n_layer"}},
    KeyRow{"context_length", "max_position_embeddings", Kind::count, 1, 1 << 28, true, false, {"seq_length", "n_positions"}},
    KeyRow{"embedding_length", "hidden_size", Kind::count, 1, 1 << 20, true, true, {"n_embd"}},
    KeyRow{"feed_forward_length", "intermediate_size", Kind::count, 1, 1 << 20, true, true, {"ffn_hidden_size", "n_inner"}},
    KeyRow{"attention.head_count", "num_attention_heads", Kind::count, 1, 1 << 20, true, true, {"n_head"}},
    KeyRow{"attention.head_count_kv", "num_key_value_heads", Kind::count, 1, 1 << 20, false, false, {"multi_query_group_num"}},
    KeyRow{"attention.key_length", "head_dim", Kind::count, 1, 1 << 20, false, false, {"kv_channels"}},
    KeyRow{"attention.value_length", "", Kind::count, 1, 1 << 20},
    KeyRow{"attention.layer_norm_rms_epsilon", "rms_norm_eps", Kind::number, 1e-30, 1, true, false, {"layernorm_epsilon"}, NormKind::rms},
    KeyRow{"attention.layer_norm_epsilon", "layer_norm_eps", Kind::number, 1e-30, 1, true, false, {"norm_epsilon", "layer_norm_epsilon"}, NormKind::layer},
    KeyRow{"attention.sliding_window", "sliding_window", Kind::count, 0, 1 << 28},
    KeyRow{"expert_count", "num_experts", Kind::count, 0, 4096, false, false, {"num_local_experts", "n_routed_experts"}},
    KeyRow{"expert_used_count", "num_experts_per_tok", Kind::count, 0, 4096},
    KeyRow{"expert_feed_forward_length", "moe_intermediate_size", Kind::count, 0, 1 << 20},
    KeyRow{"rope.dimension_count", "", Kind::count, 2, 1 << 20},
    KeyRow{"rope.freq_base", "rope_theta", Kind::number, 1e-30, kAny},
    KeyRow{"rope.scaling.factor", "", Kind::number, 1e-30, kAny},
    KeyRow{"rope.scale_linear", "", Kind::number, 1e-30, kAny},
    KeyRow{"rope.scaling.original_context_length", "", Kind::count, 1, 1 << 28},
    KeyRow{"vocab_size", "vocab_size", Kind::count, 1, 1 << 30, false, true, {"padded_vocab_size"}},
};

std::string number_text(double value) {
  if (std::isfinite(value) && value == std::floor(value) && std::fabs(value) < 1e15)
    return std::to_string(static_cast<long long>(value));
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string range_text(const KeyRow& row) {
  if (row.kind == Kind::number)
    return row.most < kAny ? "a number above 0, at most " + number_text(row.most) : "a finite number above 0";
  return "a whole number from " + number_text(row.least) + " to " + number_text(row.most);
}

bool is_in_range(const KeyRow& row, double value) {
  return std::isfinite(value) && value >= row.least && value <= row.most;
}

class GgufKeyCheck {
 public:
  // `arch`: nullptr for a family that Assay does not run.
  GgufKeyCheck(Subject& subject, std::string_view architecture, const ArchTraits* arch)
      : subject_(subject),
        metadata_(subject.model().metadata),
        prefix_(std::string(architecture) + "."),
        arch_(arch) {}

  void run() {
    for (const KeyRow& row : kKeys)
      if (!row.gguf.empty()) check(row);
  }

 private:
  void check(const KeyRow& row) {
    const std::string key = prefix_ + std::string(row.gguf);
    const MetaEntry* entry = metadata_.find(key);
    if (entry == nullptr) {
      // What another family needs is not ours to say.
      if (row.gguf_needs && arch_ != nullptr && row.of.value_or(arch_->norm) == arch_->norm)
        subject_.remark({"gguf.key.missing", Code::missing, key, "the file has no such key, and the model needs it",
                         kConvertAgain});
      return;
    }
    // Some families give one value a layer.
    if (const auto* array = std::get_if<MetaArray>(&entry->value); array != nullptr && row.kind == Kind::count)
      return check_array(row, *entry, *array);
    const auto value = row.kind == Kind::count ? whole(key) : metadata_.number(key);
    if (!value && value.error().code == Code::type) {
      subject_.remark({"gguf.key.type", Code::type, key, value.error().detail, kConvertAgain, entry->offset});
    } else if (!value || !is_in_range(row, *value)) {
      report_range(row, key, value ? number_text(*value) : "negative", *entry);
    }
  }
  Result<double> whole(const std::string& key) const {
    ASSAY_TRY(const std::uint64_t value, metadata_.unsigned_integer(key));
    return static_cast<double>(value);
  }
  void check_array(const KeyRow& row, const MetaEntry& entry, const MetaArray& array) {
    const std::string key(entry.key);
    const auto values = metadata_.integers(key);
    if (!values) {
      subject_.remark({"gguf.key.type", Code::type, key, values.error().detail, kConvertAgain, entry.offset});
      return;
    }
    const auto layers = metadata_.unsigned_integer(prefix_ + "block_count");
    if (layers && array.count != *layers)
      subject_.remark(
          {"gguf.key.array-length", Code::shape, key,
           "the array has " + std::to_string(array.count) + " values for " + std::to_string(*layers) + " layers",
           kConvertAgain, entry.offset});
    // 0 stands for a layer without that part.
    for (const std::int64_t value : *values)
      if (value < 0 || static_cast<double>(value) > row.most)
        return report_range(row, key, std::to_string(value), entry);
  }
  void report_range(const KeyRow& row, const std::string& key, const std::string& value, const MetaEntry& entry) {
    subject_.remark({"gguf.key.range", Code::range, key, "the value is " + value + ", expected " + range_text(row),
                     kConvertAgain, entry.offset});
  }

  Subject& subject_;
  const Metadata& metadata_;
  std::string prefix_;
  const ArchTraits* arch_;
};

bool is_quantized(FormatId format) {
  return dtype_of(format).block_values > 1;
}

void check_quantization_version(Subject& subject) {
  const ModelFile& model = subject.model();
  if (std::none_of(model.tensors.begin(), model.tensors.end(),
                   [](const TensorView& tensor) { return is_quantized(tensor.format); }))
    return;
  const std::string key = "general.quantization_version";
  const auto version = model.metadata.unsigned_integer(key);
  if (version && *version == 2) return;
  const MetaEntry* entry = model.metadata.find(key);
  subject.remark({"gguf.quantization-version", Code::missing, key,
                  entry == nullptr
                      ? "the file has quantised tensors and does not say which version of the block layouts they follow"
                      : "the version of the block layouts is not 2, the only one in use",
                  "harmless where the layouts are current; older ones give wrong answers: convert the model again",
                  entry == nullptr ? std::nullopt : std::optional(entry->offset)});
}

// Whether the file wants to be a model at all: a container of other tensors needs no architecture.
bool looks_like_model(const ModelFile& model) {
  if (model.find("token_embd.weight") != nullptr || model.metadata.has("tokenizer.ggml.model")) return true;
  const auto is_layer = [](const TensorView& tensor) { return tensor.name.starts_with("blk."); };
  return std::any_of(model.tensors.begin(), model.tensors.end(), is_layer);
}

void check_gguf(Subject& subject) {
  const Metadata& metadata = subject.model().metadata;
  check_quantization_version(subject);
  const std::string key = "general.architecture";
  const auto name = metadata.string(key);
  if (!name) {
    const MetaEntry* entry = metadata.find(key);
    if (entry != nullptr || looks_like_model(subject.model()))
      subject.remark({"model.architecture", name.error().code, key, name.error().detail, kConvertAgain,
                      entry == nullptr ? std::nullopt : std::optional(entry->offset)});
    else
      subject.remark({"model.none", Code::missing, key, "the file holds tensors and no model",
                      "nothing to do where that is meant"});
    return;
  }
  if (is_helper_file(*name)) {
    subject.remark({"model.none", Code::unsupported, key,
                    "the file is a \"" + printable(*name) + "\" and no language model by itself",
                    "nothing to do where that is meant"});
    return;
  }
  const ArchTraits* arch = arch_from_gguf(*name);
  const bool is_known = arch != nullptr;
  const std::uint64_t at = metadata.find(key)->offset;
  if (!is_known && !is_gguf_architecture(*name))
    subject.remark({"model.architecture", Code::unsupported, key,
                    "\"" + printable(*name) + "\" is no architecture known to Assay; it runs " + known_architectures(),
                    "the file is damaged, or newer than this Assay: compare its hash, or update Assay", at});
  else if (!is_known)
    subject.remark({"model.architecture.not-run", Code::unsupported, key,
                    "Assay does not run \"" + printable(*name) + "\" (it runs " + known_architectures() +
                        "); its tensors are not held against a plan",
                    "use another runtime for this model", at});
  GgufKeyCheck(subject, *name, arch).run();
}

class JsonKeyCheck {
 public:
  // `arch`: nullptr for families that are not run. `has_defaults`: what the configuration leaves out is known.
  JsonKeyCheck(Subject& subject, const Json& config, const ArchTraits* arch, bool has_defaults)
      : subject_(subject), config_(config), arch_(arch), has_defaults_(has_defaults) {}

  void run() {
    for (const KeyRow& row : kKeys)
      if (!row.json.empty()) check(row);
  }

 private:
  bool wrong(std::string_view rule, Code code, std::string_view key, std::string message) {
    return subject_.remark(
        {rule, code, std::string(key), std::move(message), kOneRevision, std::nullopt, subject_.config_path()});
  }
  void check(const KeyRow& row) {
    const Json* value = config_.find(row.json);
    for (const std::string_view name : row.json_too)
      if ((value == nullptr || value->is_null()) && !name.empty()) value = config_.find(name);
    if (value == nullptr || value->is_null()) {
      const bool follows = arch_ != nullptr && arch_->hf_ffn_factor > 0 && row.json == "intermediate_size";
      if (row.json_needs && arch_ != nullptr && !has_defaults_ && !follows)
        wrong("config.key.missing", Code::missing, row.json, "config.json has no such key, and the model needs it");
      return;
    }
    const bool is_right = row.kind == Kind::count ? value->is_integer() : value->is_number();
    if (!is_right) {
      wrong("config.key.type", Code::type, row.json,
            "config.json holds something other than " + range_text(row) + " here");
    } else if (!is_in_range(row, *value->number())) {
      wrong("config.key.range", Code::range, row.json,
            "the value is " + number_text(*value->number()) + ", expected " + range_text(row));
    }
  }
  Subject& subject_;
  const Json& config_;
  const ArchTraits* arch_;
  bool has_defaults_;
};

// Keys that stand twice in an object of config.json.
void check_duplicates(Subject& subject, const Json& json, const std::string& path, int depth) {
  const Json::Object* members = json.object();
  if (members == nullptr || depth > 8) return;
  std::vector<std::string_view> names;
  for (const auto& member : *members) names.push_back(member.first);
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    subject.remark({"config.key.duplicate", Code::duplicate, path + std::string(*twice),
                    "the key stands twice, and readers differ in which value they take", "remove one of the two",
                    std::nullopt, subject.config_path()});
  for (const auto& [name, value] : *members) check_duplicates(subject, value, path + name + ".", depth + 1);
}

// Code of the repository that loaders would be asked to run.
void note_remote_code(Subject& subject) {
  if (subject.model().config.find("auto_map") == nullptr) return;
  subject.remark({"config.remote-code", Code::unsupported, "auto_map",
                  "config.json asks loaders to run Python code of the repository",
                  "Assay never does; read that code before another program runs it", std::nullopt,
                  subject.config_path()});
}

void check_json(Subject& subject) {
  const ModelFile& model = subject.model();
  if (!model.config.is_object()) {
    const auto is_of_model = [](const TensorView& tensor) {
      return tensor.name.find("layers.") != std::string::npos || tensor.name.find("embed") != std::string::npos;
    };
    if (std::any_of(model.tensors.begin(), model.tensors.end(), is_of_model))
      subject.remark({"config.missing", Code::missing, "config.json",
                      "there is no config.json beside the weights, so the model's dimensions are not known",
                      "download it into the same folder"});
    return;
  }
  check_duplicates(subject, model.config, "", 0);
  note_remote_code(subject);
  const Json* type = model.config.find("model_type");
  const std::string* name = type != nullptr ? type->string() : nullptr;
  if (name == nullptr) {
    subject.remark({"model.architecture", Code::missing, "model_type",
                    "config.json does not say what kind of model this is", kOneRevision, std::nullopt,
                    subject.config_path()});
    return;
  }
  const auto language = language_config(model);
  if (!language) {
    subject.remark({"config.key.missing", language.error().code, language.error().subject, language.error().detail,
                    kOneRevision, std::nullopt, subject.config_path()});
    return;
  }
  const ArchTraits* arch = arch_from_hf(language->model_type);
  if (arch == nullptr)
    subject.remark({"model.architecture.not-run", Code::unsupported, "model_type",
                    "Assay does not run \"" + printable(language->model_type) + "\" (it runs " + known_architectures() +
                        "); its tensors are not held against a plan",
                    "use another runtime for this model", std::nullopt, subject.config_path()});
  const bool has_defaults = language->wrapper != nullptr && hf_defaults(language->model_type) != nullptr;
  JsonKeyCheck(subject, *language->json, arch, has_defaults).run();
}

}  // namespace

void check_keys(Subject& subject) {
  subject.is_gguf() ? check_gguf(subject) : check_json(subject);
}

}  // namespace assay::validation
