// Reads and checks messages.
#include "runtime/model/chat/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace assay {

namespace {

// Keys that ask a server for something; templates have no use for them.
constexpr std::array<std::string_view, 10> kServerKeys = {"model", "stream", "temperature", "top_p", "max_tokens", "seed", "stop", "n", "user", "max_completion_tokens"};

Error wrong(std::size_t index, std::string_view what) { return Error{Code::malformed, fmt::format("messages[{}]", index), std::string(what)}; }

Result<std::string> content_of(std::size_t index, const Json& message) {
  const Json* content = message.find("content");
  if (content == nullptr || content->is_null()) {
    if (message.find("tool_calls") == nullptr) return wrong(index, "has no content");
    return std::string();
  }
  if (const std::string* text = content->string()) return *text;
  if (content->array() == nullptr) return wrong(index, "content is neither a text nor a list of parts");
  std::string out;
  for (const Json& part : *content->array()) {
    const Json* type = part.find("type");
    const Json* text = part.find("text");
    if (type == nullptr || type->string() == nullptr) return wrong(index, "a part of its content has no type");
    if (*type->string() != "text") return Error{Code::unsupported, fmt::format("messages[{}]", index), fmt::format("a part of type \"{}\": Assay reads text only; leave it out", *type->string())};
    if (text == nullptr || text->string() == nullptr) return wrong(index, "a part of type text has no text");
    if (!out.empty()) out += '\n';
    out += *text->string();
  }
  return out;
}

// Interfaces carry a call's arguments as a text of JSON, templates want the object.
Result<Json> plain_calls(std::size_t index, const Json& calls) {
  if (calls.array() == nullptr) return wrong(index, "tool_calls is no list");
  Json::Array out;
  for (Json call : *calls.array()) {
    Json::Object* members = call.object();
    if (members == nullptr) return wrong(index, "a tool call is no object");
    for (auto& [name, member] : *members) {
      Json::Object* function = name == "function" ? member.object() : nullptr;
      if (function == nullptr) continue;
      for (auto& [key, value] : *function) {
        if (key != "arguments" || value.string() == nullptr) continue;
        auto parsed = parse_json(*value.string());
        if (!parsed || !parsed->is_object()) return wrong(index, "the arguments of a tool call are no JSON object");
        value = std::move(*parsed);
      }
    }
    out.push_back(std::move(call));
  }
  return Json(std::move(out));
}

Result<Json> parse_message(std::size_t index, const Json& message) {
  if (message.object() == nullptr) return wrong(index, "is no object with role and content");
  const Json* role = message.find("role");
  if (role == nullptr || role->string() == nullptr || role->string()->empty()) return wrong(index, "has no role; write \"role\": \"user\"");
  ASSAY_TRY(std::string content, content_of(index, message));
  Json out = Json::Object();
  out.set("role", *role->string() == "developer" ? std::string("system") : *role->string());
  out.set("content", std::move(content));
  for (const auto& [name, member] : *message.object()) {
    if (name == "role" || name == "content") continue;
    if (name == "tool_calls" && !member.is_null()) {
      ASSAY_TRY(Json calls, plain_calls(index, member));
      out.set(name, std::move(calls));
    } else {
      out.set(name, member);
    }
  }
  return out;
}

}  // namespace

void Conversation::add(std::string_view role, std::string_view content) {
  messages.push_back(Json(Json::Object()).set("role", role).set("content", content));
}

Result<Conversation> parse_conversation(const Json& json) {
  const Json* list = json.object() != nullptr ? json.find("messages") : &json;
  if (list == nullptr || list->array() == nullptr)
    return Error{Code::malformed, "messages", "there is no list of messages; write [{\"role\": \"user\", \"content\": \"...\"}]"};
  Conversation out;
  for (std::size_t i = 0; i < list->array()->size(); ++i) {
    ASSAY_TRY(Json message, parse_message(i, (*list->array())[i]));
    out.messages.push_back(std::move(message));
  }
  if (const Json::Object* members = json.object())
    for (const auto& [name, member] : *members)
      if (name != "messages" && std::find(kServerKeys.begin(), kServerKeys.end(), name) == kServerKeys.end()) out.settings.emplace_back(name, member);
  return out;
}

Json to_json(const Conversation& conversation) {
  Json out = Json::Object();
  out.set("messages", conversation.messages);
  for (const auto& [name, member] : conversation.settings) out.set(name, member);
  return out;
}

}  // namespace assay
