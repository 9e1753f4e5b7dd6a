// Renders chats for tests: a JSON array of {"template" or "family", "variables"} in, one of {"text"} or {"error", "code"} out.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "runtime/model/chat/chat_template.h"
#include "runtime/model/chat/families.h"

namespace {

// The moment that strftime_now() tells, the same in the expected texts: 2026-07-26, 14:05:09, a Sunday.
std::tm fixed_now() {
  std::tm now = {};
  now.tm_year = 126, now.tm_mon = 6, now.tm_mday = 26, now.tm_hour = 14, now.tm_min = 5, now.tm_sec = 9, now.tm_wday = 0, now.tm_yday = 206;
  return now;
}

assay::Json answer(const assay::Json& request) {
  assay::Json out;
  const assay::Json* text = request.find("template");
  const assay::Json* variables = request.find("variables");
  const auto rendered = [&]() -> assay::Result<std::string> {
    if (const assay::Json* family = request.find("family")) {
      const auto member = [&](const char* name) { return *variables->find(name)->string(); };
      return assay::render(*assay::find_chat_family(*family->string()), *variables->find("messages")->array(), *variables->find("add_generation_prompt")->boolean(), {member("bos_token"), member("eos_token")});
    }
    ASSAY_TRY(const assay::ChatTemplate parsed, assay::ChatTemplate::parse(*text->string()));
    return parsed.render(*variables, {.now = fixed_now()});
  }();
  if (rendered) return out.set("text", *rendered);
  out.set("error", rendered.error().detail);
  return out.set("code", assay::name_of(rendered.error().code));
}

}  // namespace

int main() {
  const std::string text(std::istreambuf_iterator<char>(std::cin), {});
  const auto requests = assay::parse_json(text);
  if (!requests || requests->array() == nullptr) {
    std::fprintf(stderr, "render_chat: error: standard input is no JSON array\n");
    return 2;
  }
  assay::Json answers = assay::Json::Array();
  for (const assay::Json& request : *requests->array()) answers.push(answer(request));
  std::puts(assay::to_text(answers).c_str());
  return 0;
}
