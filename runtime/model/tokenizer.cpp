// Tokenizer: the pipeline from text to ids (added tokens, normalizer, pre-tokenizer, model) and the way back.
#include "runtime/model/tokenizer.h"

#include <algorithm>

#include "runtime/model/tokenizer/byte_level.h"
#include "runtime/model/tokenizer/parts.h"
#include "runtime/model/tokenizer/utf8.h"

namespace assay {
namespace {

// Models count positions in 31 bits: longer texts are encoded in stretches of this many bytes.
constexpr std::size_t kLongestStretch = std::size_t{1} << 30;
// From this size on, remembering words pays for its memory.
constexpr std::size_t kRememberFrom = 4096;

// One encode() call: the working memory of every stage.
class Encoder {
 public:
  Encoder(const TokenizerParts& parts, std::size_t text_bytes, bool parse_special)
      : parts_(parts), parse_special_(parse_special), bpe_(text_bytes >= kRememberFrom) {}

  // `is_first`: the fragment starts the whole input.
  void add_text(std::string_view text, bool is_first) {
    if (!parts_.normalizer.needs_utf8() && parts_.pre_tokenizer.empty()) return add_stretch(text, {true, is_first});
    for (bool starts = true; !text.empty(); starts = false) {
      const std::size_t valid = utf8::valid_prefix(text.substr(0, kLongestStretch));
      if (valid > 0) add_stretch(text.substr(0, valid), {starts, is_first && starts});
      text.remove_prefix(valid);
      // Bytes that are no UTF-8 pass by the stages that know characters.
      std::size_t invalid = 0;
      while (invalid < text.size() && utf8::sequence_length(text.substr(invalid)) == 0) ++invalid;
      if (invalid > 0) add_piece(text.substr(0, invalid));
      text.remove_prefix(invalid);
    }
  }
  void add_id(TokenId id) { ids.push_back(id); }

  std::vector<TokenId> ids;

 private:
  using Place = PreTokenizer::Place;

  void add_stretch(std::string_view text, Place place) {
    if (parts_.normalizer.empty()) return add_normalized(text, place);
    const std::string normalized = parts_.normalizer.run(text, place.starts_fragment, pieces_.regex);
    if (parts_.added_normalized.tokens().empty()) return add_normalized(normalized, place);
    for (const Fragment& fragment : parts_.added_normalized.split(normalized, parse_special_)) {
      if (fragment.id != kNoToken) ids.push_back(fragment.id);
      else add_normalized(fragment.text, {place.starts_fragment, place.starts_input && fragment.text.data() == normalized.data()});
    }
  }

  void add_normalized(std::string_view text, Place place) {
    if (parts_.pre_tokenizer.empty()) return add_piece(text);
    parts_.pre_tokenizer.run(text, place, pieces_);
    for (const std::string_view piece : pieces_.views) add_piece(piece);
  }

  void add_piece(std::string_view piece) {
    if (const Bpe* bpe = std::get_if<Bpe>(&parts_.model)) bpe->encode(parts_.vocabulary, piece, bpe_, ids);
    else if (const Spm* spm = std::get_if<Spm>(&parts_.model)) spm->encode(parts_.vocabulary, piece, spm_, ids);
    else std::get<Unigram>(parts_.model).encode(parts_.vocabulary, piece, unigram_, ids);
  }

  const TokenizerParts& parts_;
  bool parse_special_;
  PreTokenizer::Pieces pieces_;
  Bpe::Scratch bpe_;
  Spm::Scratch spm_;
  Unigram::Scratch unigram_;
};

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
}

}  // namespace

struct Tokenizer::State {
  TokenizerParts parts;

  std::string piece(TokenId id, bool with_special) const {
    const Vocabulary& vocabulary = parts.vocabulary;
    if (!vocabulary.has(id)) return {};
    const std::string_view text = vocabulary.text(id);
    const TokenType type = vocabulary.type(id);
    if (type == TokenType::control || type == TokenType::unknown) return std::string(with_special ? text : std::string_view());
    if (type == TokenType::byte || (parts.decode.byte_tokens && type == TokenType::normal))
      if (const auto byte = parse_byte_token(text)) return std::string(1, static_cast<char>(*byte));
    if (type == TokenType::user_defined && !parts.decode.rewrites_added) return std::string(text);
    if (parts.decode.byte_level) return byte_level::to_bytes(text);
    std::string out(text);
    for (const auto& [from, to] : parts.decode.replacements) replace_all(out, from, to);
    return out;
  }
};

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::open(const ModelFile& file) {
  return from_parts(file.kind == FileKind::gguf ? load_gguf_tokenizer(file) : load_hf_tokenizer(file.folder), file.path);
}

Result<Tokenizer> Tokenizer::open_folder(const std::filesystem::path& folder) { return from_parts(load_hf_tokenizer(folder), folder); }

Result<Tokenizer> Tokenizer::from_parts(Result<TokenizerParts> parts, const std::filesystem::path& path) {
  if (!parts) {
    Error error = std::move(parts).error();
    if (error.file.empty()) error.file = path.string();
    return error;
  }
  auto state = std::make_unique<State>();
  state->parts = std::move(parts).value();
  return Tokenizer(std::move(state));
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  const TokenizerParts& parts = state_->parts;
  Encoder encoder(parts, text.size(), options.parse_special);
  if (options.add_special)
    for (const TokenId id : parts.before) encoder.add_id(id);
  for (const Fragment& fragment : parts.added.split(text, options.parse_special)) {
    if (fragment.id != kNoToken) encoder.add_id(fragment.id);
    else encoder.add_text(fragment.text, fragment.text.data() == text.data());
  }
  if (options.add_special)
    for (const TokenId id : parts.after) encoder.add_id(id);
  return std::move(encoder.ids);
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool with_special) const {
  TextStream stream(*this, with_special);
  std::string text;
  for (const TokenId id : ids) text += stream.push(id);
  return text;
}

std::string Tokenizer::piece(TokenId id) const { return state_->piece(id, false); }

std::string_view Tokenizer::vocabulary_text(TokenId id) const {
  return state_->parts.vocabulary.has(id) ? state_->parts.vocabulary.text(id) : std::string_view();
}
std::size_t Tokenizer::vocabulary_size() const { return state_->parts.vocabulary.size(); }
std::optional<TokenId> Tokenizer::bos() const { return state_->parts.bos; }
std::optional<TokenId> Tokenizer::eos() const { return state_->parts.eos; }
bool Tokenizer::adds_bos() const {
  const TokenizerParts& parts = state_->parts;
  return parts.bos && !parts.before.empty() && parts.before.front() == *parts.bos;
}
bool Tokenizer::is_end(TokenId id) const { return std::binary_search(state_->parts.ends.begin(), state_->parts.ends.end(), id); }
bool Tokenizer::is_control(TokenId id) const {
  const Vocabulary& vocabulary = state_->parts.vocabulary;
  return vocabulary.has(id) && (vocabulary.type(id) == TokenType::control || vocabulary.type(id) == TokenType::unknown);
}
std::string_view Tokenizer::kind() const { return state_->parts.kind; }
std::string_view Tokenizer::pre_tokenizer() const { return state_->parts.pre_name; }

TextStream::TextStream(const Tokenizer& tokenizer, bool with_special)
    : tokenizer_(&tokenizer), with_special_(with_special), spaces_left_(tokenizer.state_->parts.decode.leading_spaces) {}

std::string TextStream::push(TokenId id) {
  std::string piece = tokenizer_->state_->piece(id, with_special_);
  std::size_t dropped = 0;
  while (spaces_left_ > 0 && dropped < piece.size() && piece[dropped] == ' ') {
    ++dropped;
    --spaces_left_;
  }
  if (dropped < piece.size()) spaces_left_ = 0;  // the text has begun
  return piece.erase(0, dropped);
}

}  // namespace assay
