// The tokens that end a turn, by their text: no key of the common file formats names them all.
#include <algorithm>
#include <array>

#include "runtime/model/tokenizer/parts.h"

namespace assay {
namespace {

// As the models' chat formats use them.
constexpr std::array<std::string_view, 24> kEnds = {
    "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|calls|>", "<|flush|>",
    "<end_of_turn>", "<turn|>", "<|tool_response>", "<|endoftext|>", "<|end_of_text|>", "<end_of_utterance>", "</s>", "<eos>",
    "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<｜end▁of▁sentence｜>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"};

bool is_text_ending(const TokenizerParts& parts, std::string_view text) { return parts.vocabulary.find(text) != kNoToken; }

}  // namespace

void add_known_ends(TokenizerParts& parts, KnownEnds which) {
  Vocabulary& vocabulary = parts.vocabulary;
  // Where a message is made of channels, <|end|> closes one of them and not the turn.
  const bool has_channels = (is_text_ending(parts, "<|return|>") && is_text_ending(parts, "<|call|>")) ||
                            (is_text_ending(parts, "<|flush|>") && is_text_ending(parts, "<|calls|>"));
  const bool has_tools = is_text_ending(parts, "<|tool_response>");  // there </s> is ordinary text
  for (const std::string_view text : kEnds) {
    const TokenId id = vocabulary.find(text);
    if (id == kNoToken || (has_channels && text == "<|end|>") || (has_tools && text == "</s>")) continue;
    if (which == KnownEnds::special_only && vocabulary.type(id) != TokenType::control) continue;
    vocabulary.set_type(id, TokenType::control);
    parts.ends.push_back(id);
  }
  std::sort(parts.ends.begin(), parts.ends.end());
  parts.ends.erase(std::unique(parts.ends.begin(), parts.ends.end()), parts.ends.end());
}

}  // namespace assay
