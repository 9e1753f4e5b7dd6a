// The door to the evaluator: line ends as Jinja wants them, then parser and machine.
#include "runtime/model/chat/chat_template.h"

#include "runtime/model/chat/machine.h"
#include "runtime/model/chat/syntax.h"
#include "runtime/model/tokenizer/utf8.h"

namespace assay {

namespace {

constexpr std::size_t kMaxBytes = 4 << 20;

// "\n" for every line end, and none at the end of the text.
std::string with_plain_line_ends(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    out += text[i] == '\r' ? '\n' : text[i];
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

}  // namespace

ChatTemplate::ChatTemplate(std::unique_ptr<const jinja::Syntax> syntax) : syntax_(std::move(syntax)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view text) {
  if (text.size() > kMaxBytes) return Error{Code::unsupported, "chat template", "is longer than 4 MB"};
  if (utf8::valid_prefix(text) != text.size()) return Error{Code::malformed, "chat template", "is not UTF-8"};
  auto syntax = std::make_unique<jinja::Syntax>();
  syntax->source = with_plain_line_ends(text);
  ASSAY_TRY_VOID(jinja::parse(*syntax));
  return ChatTemplate(std::move(syntax));
}

const std::string& ChatTemplate::doubt() const { return syntax_->unknown; }

Result<std::string> ChatTemplate::render(const Json& variables, const RenderOptions& options) const {
  return jinja::Machine(*syntax_, options).run(variables);
}

}  // namespace assay
