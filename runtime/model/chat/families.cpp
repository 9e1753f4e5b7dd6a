// The rows, as the models' makers published their formats, and the loop that joins them.
#include "runtime/model/chat/families.h"

#include <fmt/format.h>

#include <array>

#include "runtime/model/chat/text.h"

namespace assay {

namespace {

// Markers are looked for from the first row to the last: the special ones come first.
constexpr std::array kFamilies = {
    ChatFamily{"phi4", "<|im_sep|>", "", {"<|im_start|>system<|im_sep|>", "<|im_end|>"}, {"<|im_start|>user<|im_sep|>", "<|im_end|>"}, {"<|im_start|>assistant<|im_sep|>", "<|im_end|>"}, "<|im_start|>assistant<|im_sep|>"},
    ChatFamily{"chatml", "<|im_start|>", "", {"<|im_start|>system\n", "<|im_end|>\n"}, {"<|im_start|>user\n", "<|im_end|>\n"}, {"<|im_start|>assistant\n", "<|im_end|>\n"}, "<|im_start|>assistant\n"},
    ChatFamily{"llama3", "<|start_header_id|>", "{bos}", {"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"}, {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"}, {"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"}, "<|start_header_id|>assistant<|end_header_id|>\n\n", false, true},
    ChatFamily{"llama2", "<<SYS>>", "", {"<<SYS>>\n", "\n<</SYS>>\n\n"}, {"{bos}[INST] ", " [/INST]"}, {" ", " {eos}"}, "", true, true},
    ChatFamily{"mistral", "[INST] ", "{bos}", {"", "\n\n"}, {"[INST] ", " [/INST]"}, {" ", "{eos}"}, "", true, true},
    ChatFamily{"mistral-tekken", "[INST]", "{bos}", {"", "\n\n"}, {"[INST]", "[/INST]"}, {"", "{eos}"}, "", true},
    ChatFamily{"gemma", "<start_of_turn>", "{bos}", {"", "\n\n"}, {"<start_of_turn>user\n", "<end_of_turn>\n"}, {"<start_of_turn>model\n", "<end_of_turn>\n"}, "<start_of_turn>model\n", true, true},
    ChatFamily{"granite", "<|start_of_role|>", "", {"<|start_of_role|>system<|end_of_role|>", "<|end_of_text|>\n"}, {"<|start_of_role|>user<|end_of_role|>", "<|end_of_text|>\n"}, {"<|start_of_role|>assistant<|end_of_role|>", "<|end_of_text|>\n"}, "<|start_of_role|>assistant<|end_of_role|>"},
    ChatFamily{"command-r", "<|START_OF_TURN_TOKEN|>", "{bos}", {"<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>", "<|END_OF_TURN_TOKEN|>"}, {"<|START_OF_TURN_TOKEN|><|USER_TOKEN|>", "<|END_OF_TURN_TOKEN|>"}, {"<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>"}, "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", false, true},
    ChatFamily{"deepseek3", "<｜User｜>", "{bos}", {"", ""}, {"<｜User｜>", ""}, {"<｜Assistant｜>", "<｜end▁of▁sentence｜>"}, "<｜Assistant｜>"},
    ChatFamily{"glm4", "[gMASK]", "[gMASK]<sop>", {"<|system|>\n", ""}, {"<|user|>\n", ""}, {"<|assistant|>\n", ""}, "<|assistant|>"},
    ChatFamily{"gpt-oss", "<|channel|>", "", {"<|start|>system<|message|>", "<|end|>"}, {"<|start|>user<|message|>", "<|end|>"}, {"<|start|>assistant<|channel|>final<|message|>", "<|end|>"}, "<|start|>assistant"},
    ChatFamily{"phi3", "<|end|>", "", {"<|system|>\n", "<|end|>\n"}, {"<|user|>\n", "<|end|>\n"}, {"<|assistant|>\n", "<|end|>\n"}, "<|assistant|>\n"},
    ChatFamily{"zephyr", "<|assistant|>", "", {"<|system|>\n", "{eos}\n"}, {"<|user|>\n", "{eos}\n"}, {"<|assistant|>\n", "{eos}\n"}, "<|assistant|>\n"},
    ChatFamily{"deepseek", "'User: '", "{bos}", {"", "\n\n"}, {"User: ", "\n\n"}, {"Assistant: ", "{eos}"}, "Assistant:"},
    ChatFamily{"vicuna", "USER: ", "{bos}", {"", "\n\n"}, {"USER: ", "\n"}, {"ASSISTANT: ", "{eos}\n"}, "ASSISTANT:"},
    ChatFamily{"alpaca", "### Instruction", "{bos}", {"", "\n\n"}, {"### Instruction:\n", "\n\n"}, {"### Response:\n", "{eos}\n\n"}, "### Response:\n"},
    ChatFamily{"phi2", "Instruct: ", "", {"", "\n"}, {"Instruct: ", "\n"}, {"Output: ", "\n"}, "Output:"}};

void append(std::string& out, std::string_view text, const EndTokens& tokens) {
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("{bos}") || rest.starts_with("{eos}")) {
      out += rest[1] == 'b' ? tokens.bos : tokens.eos;
      at += 5;
    } else {
      out += text[at++];
    }
  }
}

}  // namespace

std::span<const ChatFamily> chat_families() { return kFamilies; }

const ChatFamily* find_chat_family(std::string_view name) {
  for (const ChatFamily& family : kFamilies)
    if (family.name == name) return &family;
  return nullptr;
}

const ChatFamily* guess_chat_family(std::string_view template_text) {
  for (const ChatFamily& family : kFamilies)
    if (!family.marker.empty() && template_text.find(family.marker) != std::string_view::npos) return &family;
  return nullptr;
}

std::string chat_family_names() {
  std::string out;
  for (const ChatFamily& family : kFamilies) out += (out.empty() ? "" : ", ") + std::string(family.name);
  return out;
}

Result<std::string> render(const ChatFamily& family, const Json::Array& messages, bool adds_prompt, const EndTokens& tokens) {
  std::string out, system;
  append(out, family.start, tokens);
  for (const Json& message : messages) {
    const std::string& role = *message.find("role")->string();
    std::string_view content = *message.find("content")->string();
    if (family.trims) content = jinja::strip(content, jinja::Side::both);
    if (role == "system" && family.system_is_in_user) {
      append(system, family.system.before, tokens);
      system += content;
      append(system, family.system.after, tokens);
      continue;
    }
    const ChatFamily::Turn* turn = role == "system" ? &family.system : role == "user" ? &family.user : role == "assistant" ? &family.assistant : nullptr;
    if (turn == nullptr) return Error{Code::unsupported, "messages", fmt::format("the built-in format {} has no place for the role \"{}\"; it needs a model with a chat template for it", family.name, role)};
    append(out, turn->before, tokens);
    if (role == "user") out += std::exchange(system, {});
    out += content;
    append(out, turn->after, tokens);
  }
  if (adds_prompt) append(out, family.prompt, tokens);
  return out;
}

}  // namespace assay
