// Merges trained on English prose (Mary Shelley's Frankenstein, public domain), bytes and fillers around them.
#include "runtime/engine/synth_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <unordered_map>

namespace assay {
namespace {

// "left right", best first; '_' stands for a space.
constexpr std::array kMerges = {
    "_ t",    "_ a",   "h e",     "r e",   "i n",     "_ w",    "_ m",    "_t he",   "_ o",     "_ s",    "n d",
    "e d",    "e r",   "a t",     "o u",   "_ b",     "_ f",    "e n",    "_ h",     "_a nd",   "_ I",    "_o f",
    "_ c",    "o n",   "i s",     "i t",   "_ d",     "_t o",   "e s",    "_ p",     "o r",     "_t h",   "a n",
    "a s",    "_ in",  "a r",     "_m y",  "in g",    "_ l",    "_ n",    "o m",     "_ e",     "l l",    "_h a",
    "_b e",   "i c",   "_ re",    "_ he",  "i on",    "â Ģ",    "l e",    "en t",    "_w h",    "u t",    "s t",
    "c e",    "_w as", "v e",     "l y",   "_m e",    "s e",    "o t",    "_th at",  "_ y",     "l d",    "g h",
    "o w",    "u r",   "i m",     "_ g",   "_y ou",   "v er",   "_o n",   "i r",     "_ u",     "it h",   "_ha d",
    "_w ith", "re d",  "gh t",    "e t",   "a l",     "c t",    "_f or",  "i d",     "es s",    "_d e",   "_a s",
    "_w e",   "_ it",  "_f r",    "ic h",  "_wh ich", "r o",    "_b ut",  "a in",    "ou ld",   "_n ot",  "_c on",
    "he r",   "p p",   "_h is",   "_a n",  "a b",     "a y",    "âĢ ľ",   "i ght",   "_s t",    "a m",    "_f e",
    "t er",   "i f",   "_s u",    "g e",   "a d",     "_e x",   "at ion", "o re",    "_b y",    "_a t",   "_he r",
    "i l",    "_ v",   "_ T",     "i ll",  "u re",    "_s h",   "i e",    "_fr om",  "_s e",    "c h",    "ou r",
    "u l",    "t h",   "_s o",    "n t",   "e ct",    "_w he",  "es t",   "_a l",    "_ r",     "v ed",   "_ha ve",
    "q u",    "ar d",  "_we re",  "r i",   "o d",     "a ll",   "re s",   "in d",    "_th is",  "re at",  "om e",
    "e a",    "_d is", "at e",    "_ is",  "s ed",    "l a",    "e l",    "e ar",    "ou nd",   "_T he",  "ou s",
    "l f",    "_u n",  "âĢ Ŀ",    "_m an", "_l o",    "_s a",   "k e",    "en ce",   "_ A",     "_whe n", "_you r",
    "_s p",   "_a ll", "_h im",   "_ H",   "an t",    "o l",    "_wh o",  "e m",     "ab le",   "he d",   "se lf",
    "ar t",   "_ k",   "ver y",   "c c",   "_c om",   "_c h",   "_ S",    "u m",     "_ M",     "_p ro",  "_a pp",
    "u st",   "it y",  "_p er",   "_in t", "f f",     "_a m",   "am e",   "_s he",   "_d es",   "e red",  "u s",
    "ou nt",  "n ess", "i ve",    "v en",  "_n e",    "a ge",   "_u p",   "_be en",  "_a r",    "t ed",   "_ W",
    "o s",    "_w or", "_c ould", "_ im",  "f ore",   "on g",   "l i",    "a g",     "at her",  "u d",    "r an",
    "_on e",  "l o",   "as t",    "at h",  "a nd",    "_o r",   "_m is",  "_w ould", "_the ir", "_ E",    "_ B",
    "_a g",   "in e",  "_re m",   "c i",   "ou ght",  "_m ore", "_ j",    "or t",    "u n",     "_w ill", "_n o",
    "_the y", "_ en",
};

constexpr std::string_view kSpmSpace = "\xe2\x96\x81";  // U+2581

std::string utf8(std::uint32_t code) {
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
}

// Byte-level BPE writes every byte as a printable character: Latin-1's printable ones stand for themselves, the others
// follow from U+0100 on in byte order (the GPT-2 convention).
std::array<std::string, 256> byte_characters() {
  std::array<std::string, 256> out;
  std::uint32_t next = 0x100;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    const bool is_printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    out[byte] = utf8(is_printable ? byte : next++);
  }
  return out;
}

std::string with_space(std::string_view text, std::string_view space) {
  std::string out;
  for (char c : text) {
    if (c == '_')
      out += space;
    else
      out += c;
  }
  return out;
}

struct Merge {
  std::string left, right;
  std::string piece() const { return left + right; }
};
Merge merge_at(std::size_t rank, std::string_view space) {
  const std::string_view text = kMerges[rank];
  const std::size_t gap = text.find(' ');
  return {with_space(text.substr(0, gap), space), with_space(text.substr(gap + 1), space)};
}

// Puts special tokens at their ids and everything else, in order, around them.
class Filler {
 public:
  Filler(const ModelShape& shape, Vocabulary& out) : shape_(shape), out_(out) {}

  bool has_room() {
    place_specials();
    return out_.tokens.size() < shape_.vocabulary;
  }
  void add(std::string token, TokenType type, float score) {
    place_specials();
    put(std::move(token), type, score);
  }

 private:
  void place_specials() {
    for (bool found = true; found && out_.tokens.size() < shape_.vocabulary;) {
      found = false;
      const auto id = static_cast<std::int32_t>(out_.tokens.size());
      for (const SpecialToken* special : {&shape_.bos, &shape_.eos}) {
        if (special->id != id) continue;
        put(std::string(special->text), TokenType::control, 0);
        found = true;
        break;
      }
    }
  }
  void put(std::string token, TokenType type, float score) {
    out_.tokens.push_back(std::move(token));
    out_.types.push_back(static_cast<std::int32_t>(type));
    if (shape_.tokenizer == VocabularyKind::spm) out_.scores.push_back(score);
  }

  const ModelShape& shape_;
  Vocabulary& out_;
};

void add_fillers(Filler& filler, const Vocabulary& vocabulary, std::string_view space) {
  // All of one length: none is the beginning of another, so no merge can grow one.
  while (filler.has_room())
    filler.add(fmt::format("{}t{:06}", space, vocabulary.tokens.size()), TokenType::normal, -1e6f);
}

Vocabulary make_bpe(const ModelShape& shape) {
  Vocabulary out;
  Filler filler(shape, out);
  const auto bytes = byte_characters();
  for (const std::string& byte : bytes) filler.add(byte, TokenType::normal, 0);
  for (std::size_t rank = 0; rank < kMerges.size() && filler.has_room(); ++rank) {
    const Merge merge = merge_at(rank, bytes[' ']);
    filler.add(merge.piece(), TokenType::normal, 0);
    out.merges.push_back(merge.left + " " + merge.right);
  }
  add_fillers(filler, out, bytes[' ']);
  return out;
}

// Every way to split every piece into two tokens, by the rank of the piece.
std::vector<std::string> all_splits(const Vocabulary& vocabulary, const std::vector<std::string>& pieces) {
  const std::set<std::string_view> known(vocabulary.tokens.begin(), vocabulary.tokens.end());
  std::vector<std::string> out;
  for (const std::string_view piece : pieces)
    for (std::size_t cut = 1; cut < piece.size(); ++cut)
      if (known.contains(piece.substr(0, cut)) && known.contains(piece.substr(cut)))
        out.push_back(fmt::format("{} {}", piece.substr(0, cut), piece.substr(cut)));
  return out;
}

Vocabulary make_spm(const ModelShape& shape) {
  Vocabulary out;
  Filler filler(shape, out);
  filler.add("<unk>", TokenType::unknown, 0);
  for (int byte = 0; byte < 256; ++byte) filler.add(fmt::format("<0x{:02X}>", byte), TokenType::byte, 0);
  std::vector<std::string> pieces;
  for (std::size_t rank = 0; rank < kMerges.size() && filler.has_room(); ++rank) {
    pieces.push_back(merge_at(rank, kSpmSpace).piece());
    filler.add(pieces.back(), TokenType::normal, -static_cast<float>(rank + 1));
  }
  if (filler.has_room()) filler.add(std::string(kSpmSpace), TokenType::normal, -1000);
  for (char c = '!'; c <= '~' && filler.has_room(); ++c)
    filler.add(std::string(1, c), TokenType::normal, -1001 - static_cast<float>(c - '!'));
  out.merges = all_splits(out, pieces);
  add_fillers(filler, out, kSpmSpace);
  return out;
}

Json split(std::string_view pattern) {
  Json out, regex;
  regex.set("Regex", pattern);
  out.set("type", "Split").set("pattern", std::move(regex)).set("behavior", "Isolated").set("invert", false);
  return out;
}

Json byte_level(bool uses_regex) {
  Json out;
  return out.set("type", "ByteLevel")
      .set("add_prefix_space", false)
      .set("trim_offsets", true)
      .set("use_regex", uses_regex);
}

// The published pre-tokenizers of the families in the table of shapes.
Json bpe_pre_tokenizer(std::string_view name) {
  Json steps = Json::Array{};
  if (name == "smollm") {
    Json digits;
    steps.push(digits.set("type", "Digits").set("individual_digits", true));
    steps.push(byte_level(true));
  } else {
    const std::string_view numbers = name == "llama-bpe" ? "\\p{N}{1,3}" : "\\p{N}";
    steps.push(
        split(fmt::format("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{{L}}\\p{{N}}]?\\p{{L}}+|{}"
                          "| ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
                          numbers)));
    steps.push(byte_level(false));
  }
  Json out;
  return out.set("type", "Sequence").set("pretokenizers", std::move(steps));
}

Json typed(std::string_view type) {
  Json out;
  return out.set("type", type);
}

Json spm_normalizer() {
  Json prepend = typed("Prepend"), replace = typed("Replace"), pattern, out;
  prepend.set("prepend", kSpmSpace);
  pattern.set("String", " ");
  replace.set("pattern", std::move(pattern)).set("content", kSpmSpace);
  return out.set("type", "Sequence").set("normalizers", Json::Array{prepend, replace});
}

Json spm_decoder() {
  Json replace = typed("Replace"), strip = typed("Strip"), pattern, out;
  pattern.set("String", kSpmSpace);
  replace.set("pattern", std::move(pattern)).set("content", " ");
  strip.set("content", " ").set("start", 1).set("stop", 0);
  return out.set("type", "Sequence").set("decoders", Json::Array{replace, typed("ByteFallback"), typed("Fuse"), strip});
}

// Puts BOS before a text.
Json bos_template(const SpecialToken& bos) {
  const auto sequence = [](std::string_view id) {
    Json inner, outer;
    inner.set("id", id).set("type_id", 0);
    return outer.set("Sequence", std::move(inner));
  };
  Json special_inner, special, ids, entry, specials, out;
  special_inner.set("id", bos.text).set("type_id", 0);
  special.set("SpecialToken", std::move(special_inner));
  ids.set("id", bos.text).set("ids", Json::Array{bos.id}).set("tokens", Json::Array{bos.text});
  specials.set(bos.text, std::move(ids));
  out.set("type", "TemplateProcessing");
  out.set("single", Json::Array{special, sequence("A")});
  out.set("pair", Json::Array{special, sequence("A"), special, sequence("B")});
  return out.set("special_tokens", std::move(specials));
}

Json added_tokens(const Vocabulary& vocabulary) {
  Json out = Json::Array{};
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const auto type = static_cast<TokenType>(vocabulary.types[id]);
    if (type != TokenType::control && type != TokenType::unknown) continue;
    Json token;
    token.set("id", static_cast<std::uint64_t>(id)).set("content", vocabulary.tokens[id]).set("single_word", false);
    out.push(token.set("lstrip", false).set("rstrip", false).set("normalized", false).set("special", true));
  }
  return out;
}

Json bpe_model(const ModelShape& shape, const Vocabulary& vocabulary) {
  const bool is_spm = shape.tokenizer == VocabularyKind::spm;
  Json::Object ids;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
    if (is_spm || vocabulary.types[id] == static_cast<std::int32_t>(TokenType::normal))
      ids.emplace_back(vocabulary.tokens[id], static_cast<std::uint64_t>(id));
  Json model = typed("BPE");
  model.set("dropout", nullptr)
      .set("unk_token", is_spm ? Json("<unk>") : Json())
      .set("continuing_subword_prefix", nullptr);
  model.set("end_of_word_suffix", nullptr).set("fuse_unk", is_spm).set("byte_fallback", is_spm);
  model.set("ignore_merges", shape.pre_tokenizer == "llama-bpe").set("vocab", std::move(ids));
  return model.set("merges", Json::Array(vocabulary.merges.begin(), vocabulary.merges.end()));
}

}  // namespace

Result<Vocabulary> make_vocabulary(const ModelShape& shape) {
  const std::uint32_t least = shape.tokenizer == VocabularyKind::spm ? 259 : 258;
  if (shape.vocabulary < least)
    return Error{Code::range, "vocabulary",
                 fmt::format("{} tokens cannot hold the 256 bytes and the special tokens; at least {}",
                             shape.vocabulary, least)};
  for (const SpecialToken* special : {&shape.bos, &shape.eos})
    if (special->id >= static_cast<std::int64_t>(shape.vocabulary))
      return Error{Code::range, std::string(special->text),
                   fmt::format("id {} lies outside the vocabulary of {}", special->id, shape.vocabulary)};
  return shape.tokenizer == VocabularyKind::spm ? make_spm(shape) : make_bpe(shape);
}

Json tokenizer_json(const ModelShape& shape, const Vocabulary& vocabulary) {
  const bool is_spm = shape.tokenizer == VocabularyKind::spm;
  Json out;
  out.set("version", "1.0")
      .set("truncation", nullptr)
      .set("padding", nullptr)
      .set("added_tokens", added_tokens(vocabulary));
  out.set("normalizer", is_spm ? spm_normalizer() : Json());
  out.set("pre_tokenizer", is_spm ? Json() : bpe_pre_tokenizer(shape.pre_tokenizer));
  out.set("post_processor", shape.adds_bos ? bos_template(shape.bos) : is_spm ? Json() : byte_level(false));
  out.set("decoder", is_spm ? spm_decoder() : byte_level(true));
  return out.set("model", bpe_model(shape, vocabulary));
}

Json tokenizer_config_json(const ModelShape& shape) {
  Json out;
  out.set("add_bos_token", shape.adds_bos).set("add_eos_token", false);
  if (shape.bos.id >= 0) out.set("bos_token", shape.bos.text);
  if (shape.eos.id >= 0) out.set("eos_token", shape.eos.text);
  if (shape.tokenizer == VocabularyKind::spm) out.set("unk_token", "<unk>").set("legacy", false);
  out.set("clean_up_tokenization_spaces", false).set("model_max_length", std::uint64_t{shape.context});
  return out.set("tokenizer_class", "PreTrainedTokenizerFast");
}

}  // namespace assay
