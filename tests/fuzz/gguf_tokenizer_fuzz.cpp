// Fuzz target: the tokenizer of a GGUF file. The input is a recipe for tokenizer.ggml.* keys, so that most inputs reach
// it.
#include "runtime/formats/gguf.h"
#include "runtime/model/tokenizer.h"
#include "tests/fuzz/folders.h"

namespace {

using assay::MetaType;

// Takes bytes from the front of the input; zeros when it is used up.
class Recipe {
 public:
  Recipe(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  std::string_view text(std::size_t size) {
    const std::string_view out = rest_.substr(0, size);
    rest_.remove_prefix(out.size());
    return out;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

class Writer {
 public:
  std::string keys;
  std::uint64_t count = 0;

  template <class T>
  void put(T value) {
    keys.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put_text(std::string_view text) {
    put<std::uint64_t>(text.size());
    keys.append(text);
  }
  void key(std::string_view name, MetaType type) {
    ++count;
    put_text("tokenizer.ggml." + std::string(name));
    put<std::uint32_t>(static_cast<std::uint32_t>(type));
  }
  void string(std::string_view name, std::string_view text) {
    key(name, MetaType::string);
    put_text(text);
  }
  void array(std::string_view name, MetaType element, std::uint64_t elements) {
    key(name, MetaType::array);
    put<std::uint32_t>(static_cast<std::uint32_t>(element));
    put<std::uint64_t>(elements);
  }
};

std::string byte_level(unsigned byte) {
  const bool is_plain = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  static unsigned next = 0;
  if (byte == 0) next = 256;
  const unsigned code = is_plain ? byte : next++;
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
}

std::string build(Recipe& recipe) {
  constexpr const char* kModels[] = {"llama", "gpt2", "t5", "gemma4", "none", "quux"};
  constexpr const char* kPres[] = {"gpt-2",   "llama-bpe", "qwen2",  "deepseek-v3",
                                   "default", "tekken",    "gemma4", "nonsense"};
  Writer out;
  const std::uint8_t flags = recipe.byte();
  const std::string_view model = kModels[recipe.byte() % std::size(kModels)];
  out.string("model", model);
  if ((flags & 1) == 0) out.string("pre", kPres[recipe.byte() % std::size(kPres)]);
  std::vector<std::string> tokens;
  if ((flags & 2) == 0)
    for (unsigned byte = 0; byte < 256; ++byte) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", byte);
      tokens.push_back(model == "gpt2" ? byte_level(byte) : name);
    }
  for (unsigned more = recipe.byte() % 64; more > 0; --more) tokens.emplace_back(recipe.text(recipe.byte() % 16));
  out.array("tokens", MetaType::string, tokens.size());
  for (const std::string& token : tokens) out.put_text(token);
  const std::uint64_t odd = recipe.byte() % 16 == 1 ? 3 : 0;
  out.array("scores", MetaType::f32, tokens.size() + odd);
  for (std::size_t i = 0; i < tokens.size() + odd; ++i) out.put(static_cast<float>(recipe.byte()) - 128.0f);
  out.array("token_type", MetaType::i32, tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i)
    out.put<std::int32_t>(i < 256 && (flags & 2) == 0 && model != "gpt2" ? 6 : recipe.byte() % 8);
  std::vector<std::string> merges;
  for (unsigned more = recipe.byte() % 32; more > 0; --more) {
    const std::string left = tokens.empty() ? "a" : tokens[recipe.byte() % tokens.size()];
    const std::string right = tokens.empty() ? "b" : tokens[recipe.byte() % tokens.size()];
    merges.push_back(left + (recipe.byte() == 7 ? "" : " ") + right);
  }
  out.array("merges", MetaType::string, merges.size());
  for (const std::string& merge : merges) out.put_text(merge);
  for (const char* name : {"bos_token_id", "eos_token_id", "unknown_token_id"}) {
    out.key(name, MetaType::u32);
    out.put<std::uint32_t>(recipe.byte() * (recipe.byte() % 2 + 1u));
  }
  if ((flags & 4) != 0) {
    const std::string_view map = recipe.text(recipe.byte() * 2u);
    out.array("precompiled_charsmap", MetaType::u8, map.size());
    out.keys.append(map);
  }
  for (const char* name : {"add_bos_token", "add_eos_token", "add_space_prefix", "remove_extra_whitespaces"}) {
    out.key(name, MetaType::boolean);
    out.put<std::uint8_t>(recipe.byte() % 3);
  }
  Writer file;
  file.keys = "GGUF";
  file.put<std::uint32_t>(3);
  file.put<std::uint64_t>(0);
  file.put<std::uint64_t>(out.count);
  return file.keys + out.keys;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Recipe recipe(data, size);
  const std::string bytes = build(recipe);
  assay::ModelFile model;
  assay::AllFindings all;
  auto contents = assay::parse_gguf(std::as_bytes(std::span(bytes)), "x.gguf", all);
  if (!contents) return 0;
  model.metadata = std::move(contents->metadata);
  assay::fuzz::require(assay::validate(model, {.numbers = false}, all).has_value(), "an open model is validated");
  assay::fuzz::check(all.findings());
  if (const auto tokenizer = assay::Tokenizer::open(model))
    assay::fuzz::use_tokenizer(*tokenizer, recipe.rest().substr(0, 512));
  return 0;
}
