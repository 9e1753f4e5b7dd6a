// Gathers FileFacts and turns them into JSON.
#include "bench/apps/assay/info_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "runtime/model/model.h"
#include "runtime/model/quant_mix.h"
#include "runtime/model/chat/chat_format.h"
#include "runtime/model/tokenizer.h"
#include "runtime/model/weights.h"

namespace assay {
namespace {

std::string format_name(const ModelFile& file) {
  if (file.kind == FileKind::gguf) return fmt::format("GGUF v{}", file.gguf_version);
  return fmt::format("{}{}", file.kind == FileKind::safetensors ? "safetensors" : "sharded safetensors",
                     file.is_mlx ? ", MLX" : "");
}

// Divisors of the rope frequencies are stored like weights and are none.
bool is_parameter(const TensorView& tensor) {
  return tensor.name != "rope_freqs.weight";
}

void count_tensors(const ModelFile& file, FileFacts& facts) {
  std::array<TypeShare, static_cast<std::size_t>(FormatId::kCount)> shares{};
  for (const TensorView& tensor : file.tensors) {
    TypeShare& share = shares[static_cast<std::size_t>(tensor.format)];
    share.format = tensor.format;
    share.tensors += 1;
    share.values += tensor.count();
    share.bytes += tensor.stored_bytes();
    facts.weight_bytes += tensor.stored_bytes();
    if (is_parameter(tensor)) facts.parameters += parameters_of(tensor, file);
  }
  for (const TypeShare& share : shares)
    if (share.tensors != 0) facts.types.push_back(share);
  std::ranges::stable_sort(facts.types, std::greater(), &TypeShare::bytes);
}

std::string text_of(const Metadata& metadata, std::string_view key) {
  auto value = metadata.string(key);
  return value ? std::string(*value) : std::string();
}

std::string text_of(const Json& config, std::string_view key) {
  const Json* value = config.find(key);
  return value != nullptr && value->string() != nullptr ? *value->string() : std::string();
}

void read_names(const ModelFile& file, FileFacts& facts) {
  if (file.kind != FileKind::gguf) {
    facts.architecture = text_of(file.config, "model_type");
    facts.name = text_of(file.config, "_name_or_path");
    if (const Json* context = file.config.find("max_position_embeddings")) facts.context = context->unsigned_integer();
    return;
  }
  facts.architecture = text_of(file.metadata, "general.architecture");
  facts.name = text_of(file.metadata, "general.name");
  if (auto context = file.metadata.unsigned_integer(facts.architecture + ".context_length")) facts.context = *context;
  if (auto type = file.metadata.unsigned_integer("general.file_type"); type && *type <= 0xffff)
    facts.mix = mix_name_of(static_cast<std::uint32_t>(*type));
}

void read_tokenizer(const ModelFile& file, FileFacts& facts) {
  const auto tokenizer = Tokenizer::open(file);
  if (!tokenizer) {
    facts.tokenizer_problem = tokenizer.error().message();
    return;
  }
  facts.tokenizer = TokenizerFacts{.kind = std::string(tokenizer->kind()),
                                   .pre_tokenizer = std::string(tokenizer->pre_tokenizer()),
                                   .vocabulary = tokenizer->vocabulary_size(),
                                   .bos = tokenizer->bos(),
                                   .eos = tokenizer->eos(),
                                   .adds_bos = tokenizer->adds_bos()};
}

// Whether the template there is can be rendered: read, and tried on a greeting.
void read_chat(const ModelFile& file, FileFacts& facts) {
  auto found = find_chat_template(file);
  if (!found) facts.chat_problem = found.error().message();
  if (!found || !*found) return;
  ChatFacts chat{.origin = (*found)->origin, .bytes = (*found)->text.size()};
  const auto rendered = [&]() -> Result<std::string> {
    ASSAY_TRY(const ChatTemplate parsed, ChatTemplate::parse((*found)->text));
    chat.doubt = parsed.doubt();
    Conversation greeting;
    greeting.add("user", "Hello.");
    Json variables = Json::Object();
    variables.set("messages", greeting.messages).set("add_generation_prompt", true).set("bos_token", "<s>").set("eos_token", "</s>");
    return parsed.render(variables, {});
  }();
  if (!rendered) chat.problem = rendered.error().detail;
  if (const ChatFamily* family = guess_chat_family((*found)->text)) chat.looks_like = family->name;
  facts.chat = std::move(chat);
}

void plan(const ModelFile& file, PlanOptions options, FileFacts& facts) {
  auto config = read_config(file);
  if (!config) {
    facts.config_problem = facts.plan_problem = config.error().message();
    return;
  }
  facts.config = *config;
  facts.context = config->context;
  auto model = bind_model(file, Copies::planned);
  if (!model) {
    facts.plan_problem = model.error().message();
    return;
  }
  facts.is_tied = model->is_tied();
  for (const TensorView* tensor : model->unused) facts.unused.push_back(tensor->name);
  if (options.context == 0) options.context = std::min(config->context, 4096u);
  facts.plan_options = options;
  facts.plan = plan_memory(*model, options);
}

// The decimal number that people write for a float: 1e-06, not 9.999999974752427e-07.
double plain(double value) {
  const auto narrow = static_cast<float>(value);
  return static_cast<double>(narrow) == value && std::isfinite(value)
             ? std::strtod(fmt::format("{}", narrow).c_str(), nullptr)
             : value;
}

Json share_json(const TypeShare& share, std::uint64_t all_bytes) {
  Json out;
  out.set("type", name_of(share.format))
      .set("tensors", share.tensors)
      .set("values", share.values)
      .set("bytes", share.bytes);
  out.set("share", all_bytes == 0 ? 0.0 : static_cast<double>(share.bytes) / static_cast<double>(all_bytes));
  return out.set("bits_per_weight", share.bits_per_weight());
}

Json config_json(const Config& config, bool is_tied) {
  Json out;
  out.set("layers", std::uint64_t{config.layers}).set("embedding", std::uint64_t{config.embedding});
  out.set("feed_forward", std::uint64_t{config.feed_forward}).set("heads", std::uint64_t{config.heads});
  out.set("kv_heads", std::uint64_t{config.kv_heads}).set("head_dim", std::uint64_t{config.head_dim});
  out.set("vocabulary", std::uint64_t{config.vocabulary}).set("context", std::uint64_t{config.context});
  out.set("norm_epsilon", plain(static_cast<double>(config.norm_epsilon)))
      .set("rope_base", plain(static_cast<double>(config.rope.base)));
  out.set("tied", is_tied);
  if (config.window > 0) out.set("window", std::uint64_t{config.window});
  const ExpertConfig& experts = config.experts;
  if (experts.count == 0) return out;
  Json json;
  json.set("count", std::uint64_t{experts.count}).set("used", std::uint64_t{experts.used});
  json.set("shared", std::uint64_t{experts.shared}).set("feed_forward", std::uint64_t{experts.feed_forward});
  return out.set("experts", std::move(json.set("dense_layers", std::uint64_t{experts.dense_layers})));
}

Json plan_json(const MemoryPlan& plan, const PlanOptions& options) {
  Json out;
  out.set("context", std::uint64_t{options.context})
      .set("batch", std::uint64_t{options.batch})
      .set("kv_type", name_of(options.kv));
  out.set("weights_bytes", plan.weights_bytes)
      .set("kv_bytes", plan.kv_bytes)
      .set("activation_bytes", plan.activation_bytes);
  out.set("total_bytes", plan.total_bytes()).set("bytes_per_token", plan.bytes_per_token);
  out.set("kv_bytes_per_position", plan.kv_bytes_per_position);
  if (plan.window == 0) return out;
  return out.set("window", plan.window).set("window_kv_bytes_per_position", plan.window_kv_bytes_per_position);
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json chat_json(const ChatFacts& chat) {
  Json out;
  out.set("origin", chat.origin).set("bytes", chat.bytes).set("renders", chat.problem.empty()).set("problem", text_or_null(chat.problem));
  return out.set("doubt", text_or_null(chat.doubt)).set("looks_like", text_or_null(chat.looks_like));
}

Json tokenizer_json_of(const TokenizerFacts& tokenizer) {
  Json out;
  out.set("kind", tokenizer.kind)
      .set("pre_tokenizer", text_or_null(tokenizer.pre_tokenizer))
      .set("vocabulary", tokenizer.vocabulary);
  out.set("bos", tokenizer.bos ? Json(*tokenizer.bos) : Json())
      .set("eos", tokenizer.eos ? Json(*tokenizer.eos) : Json());
  return out.set("adds_bos", tokenizer.adds_bos);
}

// Elements of an array shown before "...".
constexpr std::uint64_t kShownElements = 4;
constexpr std::size_t kShownCharacters = 120;

template <class T>
std::optional<Json> read_number(ByteReader& reader) {
  const auto value = reader.read<T>();
  if (!value) return std::nullopt;
  if constexpr (std::is_floating_point_v<T>)
    return Json(plain(static_cast<double>(*value)));
  else if constexpr (std::is_signed_v<T>)
    return Json(std::int64_t{*value});
  else
    return Json(std::uint64_t{*value});
}

std::optional<Json> read_element(ByteReader& reader, MetaType type) {
  switch (type) {
    case MetaType::u8:
      return read_number<std::uint8_t>(reader);
    case MetaType::i8:
      return read_number<std::int8_t>(reader);
    case MetaType::u16:
      return read_number<std::uint16_t>(reader);
    case MetaType::i16:
      return read_number<std::int16_t>(reader);
    case MetaType::u32:
      return read_number<std::uint32_t>(reader);
    case MetaType::i32:
      return read_number<std::int32_t>(reader);
    case MetaType::u64:
      return read_number<std::uint64_t>(reader);
    case MetaType::i64:
      return read_number<std::int64_t>(reader);
    case MetaType::f32:
      return read_number<float>(reader);
    case MetaType::f64:
      return read_number<double>(reader);
    case MetaType::boolean:
      if (const auto value = reader.read<std::uint8_t>()) return Json(*value != 0);
      return std::nullopt;
    case MetaType::string:
      if (const auto length = reader.read<std::uint64_t>())
        if (const auto text = reader.read_text(*length)) return Json(*text);
      return std::nullopt;
    case MetaType::array:
      return std::nullopt;
  }
  return std::nullopt;
}

Json first_elements(const MetaArray& array) {
  Json out = Json::Array{};
  ByteReader reader(array.bytes);
  for (std::uint64_t i = 0; i < std::min(array.count, kShownElements); ++i) {
    auto element = read_element(reader, array.element);
    if (!element) break;
    out.push(std::move(*element));
  }
  return out;
}

// The value; of an array its first elements.
Json value_json(const MetaValue& value) {
  if (const auto* array = std::get_if<MetaArray>(&value)) return first_elements(*array);
  return std::visit(
      []<class T>(const T& held) -> Json {
        if constexpr (std::is_same_v<T, MetaArray>)
          return {};
        else if constexpr (std::is_same_v<T, double>)
          return Json(plain(held));
        else
          return Json(held);
      },
      value);
}

std::string shortened(const std::string& text) {
  if (text.size() <= kShownCharacters) return text;
  std::size_t cut = kShownCharacters;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;  // not inside a character
  return text.substr(0, cut) + fmt::format("\"... ({} characters)", text.size() - 2);
}

}  // namespace

FileFacts gather_facts(const ModelFile& file, PlanOptions options) {
  FileFacts facts;
  facts.format = format_name(file);
  facts.file_bytes = file.file_bytes();
  facts.files = file.files.size();
  count_tensors(file, facts);
  read_names(file, facts);
  read_tokenizer(file, facts);
  read_chat(file, facts);
  plan(file, options, facts);
  return facts;
}

Json facts_json(const ModelFile& file, const FileFacts& facts) {
  Json files = Json::Array{}, types = Json::Array{}, out;
  for (const MappedFile& part : file.files) files.push(part.path().string());
  for (const TypeShare& share : facts.types) types.push(share_json(share, facts.weight_bytes));
  out.set("schema", "assay.info.v1")
      .set("path", file.path.string())
      .set("files", std::move(files))
      .set("format", facts.format);
  out.set("file_bytes", facts.file_bytes)
      .set("architecture", text_or_null(facts.architecture))
      .set("name", text_or_null(facts.name));
  out.set("mix", text_or_null(facts.mix)).set("parameters", facts.parameters).set("weight_bytes", facts.weight_bytes);
  out.set("bits_per_weight", facts.bits_per_weight()).set("types", std::move(types));
  out.set("context", facts.context ? Json(*facts.context) : Json());
  out.set("config", facts.config ? config_json(*facts.config, facts.is_tied) : Json())
      .set("config_problem", text_or_null(facts.config_problem));
  out.set("tokenizer", facts.tokenizer ? tokenizer_json_of(*facts.tokenizer) : Json())
      .set("tokenizer_problem", text_or_null(facts.tokenizer_problem));
  out.set("chat_template", facts.chat ? chat_json(*facts.chat) : Json()).set("chat_template_problem", text_or_null(facts.chat_problem));
  out.set("memory", facts.plan ? plan_json(*facts.plan, facts.plan_options) : Json());
  Json unused = Json::Array{};
  for (const std::string& name : facts.unused) unused.push(name);
  return out.set("memory_problem", text_or_null(facts.plan_problem)).set("unused_tensors", std::move(unused));
}

Json tensors_json(const ModelFile& file) {
  Json out = Json::Array{};
  for (const TensorView& tensor : file.tensors) {
    Json row, shape = Json::Array{};
    for (std::uint64_t size : tensor.shape) shape.push(size);
    row.set("name", tensor.name)
        .set("type", name_of(tensor.format))
        .set("shape", std::move(shape))
        .set("bytes", tensor.stored_bytes());
    out.push(row.set("file", std::uint64_t{tensor.file}).set("offset", tensor.offset));
  }
  return out;
}

Json metadata_json(const ModelFile& file) {
  if (file.kind != FileKind::gguf) return file.config;
  Json out = Json::Array{};
  for (const MetaEntry& entry : file.metadata.entries()) {
    Json row;
    row.set("key", entry.key).set("type", name_of(entry.type));
    if (const auto* array = std::get_if<MetaArray>(&entry.value))
      row.set("element", name_of(array->element)).set("count", array->count);
    out.push(row.set(entry.type == MetaType::array ? "first" : "value", value_json(entry.value)));
  }
  return out;
}

std::string metadata_text(const MetaEntry& entry) {
  const std::string value = shortened(to_text(value_json(entry.value)));
  const auto* array = std::get_if<MetaArray>(&entry.value);
  if (array == nullptr) return value;
  const std::string head = fmt::format("{} {} ", array->count, name_of(array->element));
  return array->count <= kShownElements || !value.ends_with(']')
             ? head + value
             : fmt::format("{}{}, ...]", head, value.substr(0, value.size() - 1));
}

std::string shape_text(const TensorView& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.shape, " x "));
}

}  // namespace assay
