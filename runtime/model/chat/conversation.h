// Conversation: messages with roles, from a file or typed, in the shape that chat templates expect.
#pragma once

#include <string>
#include <string_view>

#include "runtime/core/error.h"
#include "runtime/core/json.h"

namespace assay {

struct Conversation {
  Json::Array messages{};   // each with "role" and "content", a text; tool calls with their arguments as objects
  Json::Object settings{};  // tools, documents and whatever else stands beside "messages": the template sees them

  void add(std::string_view role, std::string_view content);
};

// `json`: an array of messages, or an object with "messages", as chat interfaces have them: content as a text, as null beside
// tool calls, or as parts of type text. Errors: malformed (which message, what is wrong), unsupported (an image or sound).
Result<Conversation> parse_conversation(const Json& json);
// As a file that parse_conversation() reads again.
Json to_json(const Conversation& conversation);

}  // namespace assay
