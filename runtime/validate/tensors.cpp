// Tensors held against the hyper-parameters: missing, of the wrong shape, not used, and the mix the file says it has.
#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <unordered_set>

#include "runtime/model/quant_mix.h"
#include "runtime/model/weights.h"
#include "runtime/quant/dequantize.h"
#include "runtime/validate/subject.h"

namespace assay::validation {

namespace {

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string text = "[";
  for (const std::uint64_t size : shape) text += (text.size() == 1 ? "" : " x ") + std::to_string(size);
  return text + "]";
}

class TensorCheck {
 public:
  TensorCheck(Subject& subject, const Config& config) : subject_(subject), model_(subject.model()), config_(config) {}

  void run() {
    const std::vector<ExpectedTensor> expected = list_weights(config_, layout_of(model_), &model_);
    for (auto at = expected.begin(); at != expected.end() && !subject_.stopped();) {
      // The tensors of one layer lie together.
      const auto end = !at->in_layer() ? at + 1 : std::find_if(at, expected.end(), [&](const ExpectedTensor& each) { return !each.in_layer() || each.layer != at->layer; });
      check_group({at, end});
      at = end;
    }
    check_unused();
    subject_.is_gguf() ? note_window() : check_head(expected);
  }

 private:
  // A layer of which nothing is there is told once.
  void check_group(std::span<const ExpectedTensor> group) {
    std::size_t needed = 0, found = 0;
    for (const ExpectedTensor& each : group) {
      needed += each.is_needed;
      found += each.is_needed && model_.find(each.name) != nullptr;
    }
    if (group.front().in_layer() && found == 0) {
      subject_.remark({"model.layer.missing", Code::missing, "layer " + std::to_string(group.front().layer),
                       "none of its " + std::to_string(needed) + " tensors is in the file, which says it has " +
                           std::to_string(config_.layers) + " layers",
                       subject_.is_gguf() ? kConvertAgain : kOneRevision});
      return;
    }
    for (const ExpectedTensor& each : group) check(each);
  }

  void check(const ExpectedTensor& expected) {
    const TensorView* tensor = model_.find(expected.name);
    if (tensor == nullptr) {
      if (expected.is_needed)
        subject_.remark({"model.tensor.missing", Code::missing, expected.name,
                         "the model needs this tensor, and the file does not have it",
                         subject_.is_gguf() ? kConvertAgain : kOneRevision});
      return;
    }
    used_.insert(tensor->name);
    if (tensor->shape != expected.shape)
      about("model.tensor.shape", Code::shape, *tensor,
            "the file has " + shape_text(tensor->shape) + ", the hyper-parameters ask for " + shape_text(expected.shape),
            kConvertAgain);
    if (expected.is_mxfp4()) return check_exponents(expected);
    const auto computable = check_dequantizable(*tensor);
    if (!computable)
      about("model.tensor.type", computable.error().code, *tensor, computable.error().detail,
            "download the model in another precision");
  }

  // MXFP4 codes are bytes beside a tensor of exponents: neither is a weight by itself.
  void check_exponents(const ExpectedTensor& expected) {
    const TensorView* exponents = model_.find(expected.exponents);
    if (exponents == nullptr) {
      subject_.remark({"model.tensor.missing", Code::missing, expected.exponents,
                       "the exponents of " + expected.name + " are not in the file", kOneRevision});
      return;
    }
    used_.insert(exponents->name);
    if (exponents->shape != expected.exponents_shape)
      about("model.tensor.shape", Code::shape, *exponents,
            "the file has " + shape_text(exponents->shape) + ", the hyper-parameters ask for " + shape_text(expected.exponents_shape),
            kConvertAgain);
  }

  void about(std::string_view rule, Code code, const TensorView& tensor, std::string message, std::string_view advice) {
    subject_.remark({rule, code, tensor.name, std::move(message), advice, tensor.offset,
                     model_.files[tensor.file].path().string()});
  }

  void check_unused() {
    for (const TensorView& tensor : model_.tensors) {
      if (used_.contains(tensor.name) || subject_.stopped()) continue;
      const bool is_leftover = std::any_of(kLeftovers.begin(), kLeftovers.end(),
                                           [&](std::string_view end) { return tensor.name.ends_with(end); });
      if (is_leftover || is_of_image_part(tensor.name, config_)) continue;
      const bool is_bias = tensor.name.ends_with(".bias");
      about("model.tensor.unused", Code::unsupported, tensor,
            is_bias ? "biases are not part of " + std::string(config_.arch->name) +
                          " as Assay runs it: leaving it out would change every answer"
                    : std::string(config_.arch->name) + " has no such tensor: it would not be used",
            is_bias ? "use another runtime for this model"
                    : "harmless if it is a leftover; otherwise the architecture is not what the file says");
    }
  }

  // A folder's window on its way to GGUF: the key is there, and nobody goes by it.
  void note_window() {
    const std::string key = std::string(config_.arch->gguf_name) + ".attention.sliding_window";
    const MetaEntry* entry = model_.metadata.find(key);
    if (entry == nullptr || config_.arch->full_layer_period > 0) return;
    const auto window = model_.metadata.unsigned_integer(key);
    if (!window || *window == 0 || *window >= config_.context) return;
    subject_.remark({"gguf.window-ignored", Code::unsupported, key,
                     "the model was made for a window of " + std::to_string(*window) + " positions, and readers of " +
                         std::string(config_.arch->gguf_name) + " files let every position see all before it",
                     "keep contexts below it, or run the folder the file was made of", entry->offset});
  }

  // config.json's tie_word_embeddings against lm_head.weight.
  void check_head(const std::vector<ExpectedTensor>& expected) {
    const auto language = language_config(model_);
    const Json* value = language ? language->json->find("tie_word_embeddings") : nullptr;
    const auto head = std::find_if(expected.begin(), expected.end(),
                                   [](const ExpectedTensor& each) { return each.parts[0]->in_model == &Model::output; });
    const auto is_tied = value != nullptr ? value->boolean() : std::nullopt;
    if (!is_tied) return;
    const bool has_head = model_.find(head->name) != nullptr;
    if (*is_tied == !has_head) return;
    subject_.remark(
        {"config.tied-head", Code::mismatch, "tie_word_embeddings",
         has_head ? "config.json says the output is the embedding, and there is a " + head->name + " of its own"
                  : "config.json says the output has weights of its own, and there is no " + head->name,
         has_head ? "readers differ in which one they use: remove the tensor or correct the config" : kOneRevision,
         std::nullopt, subject_.config_path()});
  }

  Subject& subject_;
  const ModelFile& model_;
  const Config& config_;
  std::unordered_set<std::string_view> used_;
};

// Weights packed by schemes that lay integers out in their own way: named, because their tensors look like a damaged
// model otherwise. True when the model is one.
bool check_foreign_quantization(Subject& subject) {
  const auto scheme = foreign_quantization(subject.model());
  if (!scheme) return false;
  subject.remark({"model.quantization", Code::unsupported, scheme->tensor, scheme->message(), scheme->kAdvice,
                  std::nullopt, subject.config_path()});
  return true;
}

// Formats of general.file_type that no Mix of ours is named after, with the format that gives them their name.
struct FileType {
  std::uint32_t number;
  std::string_view name;
  FormatId base;
};
constexpr std::array kOtherFileTypes = {
    FileType{19, "IQ2_XXS", FormatId::IQ2_XXS}, FileType{20, "IQ2_XS", FormatId::IQ2_XS},
    FileType{22, "IQ3_XS", FormatId::IQ3_S},    FileType{23, "IQ3_XXS", FormatId::IQ3_XXS},
    FileType{24, "IQ1_S", FormatId::IQ1_S},     FileType{26, "IQ3_S", FormatId::IQ3_S},
    FileType{27, "IQ3_M", FormatId::IQ3_S},     FileType{28, "IQ2_S", FormatId::IQ2_XS},
    FileType{29, "IQ2_M", FormatId::IQ2_S},     FileType{31, "IQ1_M", FormatId::IQ1_M},
    FileType{36, "TQ1_0", FormatId::TQ1_0},     FileType{37, "TQ2_0", FormatId::TQ2_0}};

std::optional<FileType> file_type_of(std::uint64_t number) {
  if (number > 0xffff) return std::nullopt;
  const auto known = static_cast<std::uint32_t>(number);
  if (const std::string_view name = mix_name_of(known); !name.empty())
    if (const auto mix = mix_from_name(name)) return FileType{known, name, mix->base};
  const auto other = std::find_if(kOtherFileTypes.begin(), kOtherFileTypes.end(),
                                  [&](const FileType& type) { return type.number == known; });
  return other == kOtherFileTypes.end() ? std::nullopt : std::optional(*other);
}

// The name a file gives to its mix must stand on at least a fifth of the weights inside its layers.
void check_file_type(Subject& subject) {
  const ModelFile& model = subject.model();
  const std::string key = "general.file_type";
  const MetaEntry* entry = model.metadata.find(key);
  if (entry == nullptr) return;
  const auto number = model.metadata.unsigned_integer(key);
  const auto said = number ? file_type_of(*number) : std::nullopt;
  if (!said) {
    if (!number)
      subject.remark({"gguf.key.type", Code::type, key, number.error().detail, kConvertAgain, entry->offset});
    return;
  }
  std::map<FormatId, std::uint64_t> values;
  std::uint64_t total = 0;
  for (const TensorView& tensor : model.tensors) {
    if (!is_quantizable(tensor.name, tensor.shape) || !tensor.name.starts_with("blk.")) continue;
    values[tensor.format] += tensor.count();
    total += tensor.count();
  }
  if (total == 0 || values[said->base] >= total / 5) return;
  const auto most =
      std::max_element(values.begin(), values.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  subject.remark({"gguf.file-type", Code::mismatch, key,
                  "the file calls itself " + std::string(said->name) + ", but " +
                      std::to_string(100 * most->second / total) + " % of the weights in its layers are " +
                      std::string(name_of(most->first)) + " and " + std::to_string(100 * values[said->base] / total) +
                      " % " + std::string(name_of(said->base)),
                  "judge the file by its tensors, not by its name", entry->offset});
}

}  // namespace

void check_tensors(Subject& subject) {
  const ModelFile& model = subject.model();
  if (subject.is_gguf()) check_file_type(subject);
  if (model.tensors.empty()) {
    subject.remark({"model.no-tensors", Code::missing, "tensors",
                    "the file holds no tensors: it can be looked at and not be run",
                    "nothing to do where only a vocabulary or a header is meant"});
    return;
  }
  if (check_foreign_quantization(subject)) return;
  if (subject.is_gguf() ? !model.metadata.has("general.architecture") : !model.config.is_object())
    return;  // told by check_keys
  const auto config = read_config(model);
  if (config) return TensorCheck(subject, *config).run();
  // Single keys have been told; what is left are families Assay does not run and keys that contradict each other.
  if (subject.errors() > 0 || config.error().code == Code::unsupported) {
    if (subject.errors() == 0 && config.error().subject != "model_type" &&
        config.error().subject != "general.architecture")
      subject.remark({"model.not-run", Code::unsupported, config.error().subject, config.error().detail,
                      "use another runtime for this model", config.error().offset});
    return;
  }
  subject.remark({"model.config", config.error().code, config.error().subject, config.error().detail,
                  subject.is_gguf() ? kConvertAgain : kOneRevision, config.error().offset});
}

}  // namespace assay::validation
