// ChatFormat: how this model's conversations are written, by its own template, a template file or a built-in family.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "runtime/formats/model_file.h"
#include "runtime/model/chat/chat_template.h"
#include "runtime/model/chat/conversation.h"
#include "runtime/model/chat/families.h"
#include "runtime/model/tokenizer.h"

namespace assay {

// The template that came with a model.
struct FoundTemplate {
  std::string text;
  std::string origin;  // "tokenizer.chat_template", "chat_template.jinja", ...
};
// From GGUF metadata, or from chat_template.jinja, tokenizer_config.json or chat_template.json of the folder. Where there are
// several by name it is the one for tools when `with_tools` and there is one, else the default. Nothing when there is none.
// Errors: io, malformed (the file it should stand in).
Result<std::optional<FoundTemplate>> find_chat_template(const ModelFile& file, bool with_tools = false);

class ChatFormat {
 public:
  // The model's own template. When it cannot be rendered, the built-in family that it looks like, and note() tells; when there is
  // none either, the error names what to do.
  static Result<ChatFormat> of_model(const ModelFile& file, const Tokenizer& tokenizer, bool with_tools = false);
  // A family's name, or else the path of a file with a template.
  static Result<ChatFormat> named(std::string_view family_or_path, const ModelFile& file, const Tokenizer& tokenizer);

  // The conversation as the model's text, with the beginning of the answer when `adds_prompt`. BOS is in it where it belongs:
  // encode it with add_special off. `now`: the time for templates that ask. Errors: those of ChatTemplate::render.
  Result<std::string> render(const Conversation& conversation, bool adds_prompt, const std::tm& now) const;

  const std::string& origin() const { return origin_; }  // "the model's template", "the built-in format chatml", a path
  const std::string& note() const { return note_; }      // what the user should know; empty: nothing

 private:
  ChatFormat(const ModelFile& file, const Tokenizer& tokenizer);
  std::variant<const ChatFamily*, ChatTemplate> format_ = nullptr;
  EndTokens ends_;
  Json::Object special_tokens_;  // bos_token and the like, as templates know them
  std::string origin_, note_;
};

}  // namespace assay
