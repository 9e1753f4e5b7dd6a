// Built-in chat formats: one row of plain texts a family, for models without a template of their own.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/core/error.h"
#include "runtime/core/json.h"

namespace assay {

struct ChatFamily {
  std::string_view name;
  std::string_view marker;  // what only templates of this family hold; empty: none is recognised
  // "{bos}" and "{eos}" stand for the model's own tokens.
  std::string_view start;
  struct Turn {
    std::string_view before, after;
  } system, user, assistant;
  std::string_view prompt;           // where the answer begins
  bool system_is_in_user = false;    // the system message stands at the beginning of the first user's turn
  bool trims = false;                // white space around messages goes
};

std::span<const ChatFamily> chat_families();
const ChatFamily* find_chat_family(std::string_view name);
// The family whose marker stands in the text of a template.
const ChatFamily* guess_chat_family(std::string_view template_text);
// "chatml, llama2, ..."
std::string chat_family_names();

struct EndTokens {
  std::string bos, eos;  // their texts
};
// `messages`: objects with "role" (system, user, assistant) and "content", a text. Errors: unsupported (another role).
Result<std::string> render(const ChatFamily& family, const Json::Array& messages, bool adds_prompt, const EndTokens& tokens);

}  // namespace assay
