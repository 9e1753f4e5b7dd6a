// ChatTemplate: a model's own template, which turns a conversation into the text that the model was trained on.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/core/error.h"
#include "runtime/core/json.h"

namespace assay {

namespace jinja {
struct Syntax;
}

// A template comes with a downloaded file: it computes within bounds, and reaches nothing but what it is given.
struct RenderLimits {
  std::uint64_t steps = 20'000'000;       // expressions and statements, and every 64 bytes that are looked through
  std::uint64_t memory_bytes = 256 << 20;  // of all values made on the way
  std::uint64_t output_bytes = 64 << 20;
  int depth = 300;  // of calls, blocks and expressions inside one another
};

struct RenderOptions {
  RenderLimits limits{};
  std::tm now{};  // what strftime_now() tells
};

// A template in the subset of Jinja that published chat templates use, rendered as transformers renders it: sandboxed,
// trim_blocks and lstrip_blocks on, tojson as plain JSON, with raise_exception, strftime_now and {% generation %}.
class ChatTemplate {
 public:
  // Errors: malformed (it is no template), unsupported (the construct by name); both with the line.
  static Result<ChatTemplate> parse(std::string_view text);

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // Names the first filter or test that is not supported and stands in a branch, which may never be reached; else empty.
  const std::string& doubt() const;

  // `variables`: an object with messages, add_generation_prompt, bos_token, tools and whatever else the template may ask
  // for. Errors: malformed (the template refuses the conversation, or goes wrong on it), unsupported (a method), range or
  // memory (beyond the limits); all with the line.
  Result<std::string> render(const Json& variables, const RenderOptions& options) const;

 private:
  explicit ChatTemplate(std::unique_ptr<const jinja::Syntax> syntax);
  std::unique_ptr<const jinja::Syntax> syntax_;
};

}  // namespace assay
