// Built-in chat formats, conversations in files, and where a model's template is found.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>

#include "runtime/model/chat/chat_format.h"
#include "tests/support/data.h"

namespace assay {
namespace {

Conversation talk() {
  Conversation out;
  out.add("system", "S");
  out.add("user", " U1 ");
  out.add("assistant", "A1");
  out.add("user", "U2");
  return out;
}

std::string written(std::string_view family, const Conversation& conversation = talk()) {
  const ChatFamily* found = find_chat_family(family);
  if (found == nullptr) return "no such family";
  const auto text = render(*found, conversation.messages, true, {"<s>", "</s>"});
  return text ? *text : text.error().message();
}

TEST(ChatFamilies, AreWrittenAsTheirMakersWriteThem) {
  EXPECT_EQ(written("chatml"), "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n U1 <|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(written("llama2"), "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU1 [/INST] A1 </s><s>[INST] U2 [/INST]");
  EXPECT_EQ(written("llama3"),
            "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU1<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA1<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nU2<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(written("mistral"), "<s>[INST] S\n\nU1 [/INST] A1</s>[INST] U2 [/INST]");
  EXPECT_EQ(written("gemma"), "<s><start_of_turn>user\nS\n\nU1<end_of_turn>\n<start_of_turn>model\nA1<end_of_turn>\n<start_of_turn>user\nU2<end_of_turn>\n<start_of_turn>model\n");
  EXPECT_EQ(written("phi3"), "<|system|>\nS<|end|>\n<|user|>\n U1 <|end|>\n<|assistant|>\nA1<|end|>\n<|user|>\nU2<|end|>\n<|assistant|>\n");
  EXPECT_EQ(written("zephyr"), "<|system|>\nS</s>\n<|user|>\n U1 </s>\n<|assistant|>\nA1</s>\n<|user|>\nU2</s>\n<|assistant|>\n");
  EXPECT_EQ(written("deepseek"), "<s>S\n\nUser:  U1 \n\nAssistant: A1</s>User: U2\n\nAssistant:");
  EXPECT_EQ(written("glm4"), "[gMASK]<sop><|system|>\nS<|user|>\n U1 <|assistant|>\nA1<|user|>\nU2<|assistant|>");
}

TEST(ChatFamilies, HaveNamesOfTheirOwnAndAreGuessedByTheirMarkers) {
  std::set<std::string_view> names;
  for (const ChatFamily& family : chat_families()) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    EXPECT_NE(chat_family_names().find(family.name), std::string::npos);
    EXPECT_EQ(guess_chat_family(family.marker)->name, family.name) << "an earlier row has the same marker";
  }
  EXPECT_EQ(guess_chat_family("{{ '<|im_start|>' + role }}")->name, "chatml");
  EXPECT_EQ(guess_chat_family("{{ 'nothing known' }}"), nullptr);
  EXPECT_EQ(find_chat_family("nonsense"), nullptr);
}

TEST(ChatFamilies, RefuseRolesTheyHaveNoPlaceFor) {
  Conversation with_tool = talk();
  with_tool.add("tool", "42");
  EXPECT_EQ(written("chatml", with_tool), "messages: the built-in format chatml has no place for the role \"tool\"; it needs a model with a chat template for it");
}

TEST(Conversation, IsReadAndWrittenAsChatInterfacesHaveIt) {
  const auto json = parse_json(R"({"model": "x", "temperature": 1, "enable_thinking": false, "messages": [{"role": "user", "content": "Hi", "name": "Ann"},
    {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": "{\"a\": [1]}"}}]}]})");
  ASSERT_TRUE(json);
  const auto conversation = parse_conversation(*json);
  ASSERT_TRUE(conversation) << conversation.error().message();
  EXPECT_EQ(to_text(to_json(*conversation)),
            R"({"messages":[{"role":"user","content":"Hi","name":"Ann"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":[1]}}}]}],"enable_thinking":false})");
  const auto again = parse_conversation(to_json(*conversation));
  ASSERT_TRUE(again);
  EXPECT_EQ(to_text(to_json(*again)), to_text(to_json(*conversation)));
}

TEST(Conversation, SaysWhichMessageIsWrong) {
  const auto problem = [](std::string_view text) {
    const auto parsed = parse_conversation(*parse_json(text));
    return parsed ? "fine" : parsed.error().message();
  };
  EXPECT_EQ(problem("[]"), "fine");
  EXPECT_EQ(problem("3"), "messages: there is no list of messages; write [{\"role\": \"user\", \"content\": \"...\"}]");
  EXPECT_EQ(problem(R"([{"role": "user", "content": "x"}, {"content": "x"}])"), "messages[1]: has no role; write \"role\": \"user\"");
  EXPECT_EQ(problem(R"([{"role": "user", "content": 5}])"), "messages[0]: content is neither a text nor a list of parts");
  EXPECT_EQ(problem(R"([{"role": "user", "content": ["x"]}])"), "messages[0]: a part of its content has no type");
  EXPECT_EQ(problem(R"([{"role": "assistant", "tool_calls": {}}])"), "messages[0]: tool_calls is no list");
  EXPECT_EQ(problem(R"([{"role": "assistant", "tool_calls": [{"function": {"arguments": "[1"}}]}])"), "messages[0]: the arguments of a tool call are no JSON object");
}

// chat_template.jinja goes before tokenizer_config.json; of several templates the one for tools is taken where tools are used.
TEST(ChatFormat, FindsTheTemplateOfAFolder) {
  const test::TemporaryFolder folder;
  const std::filesystem::path copy = folder.path() / "model";
  std::filesystem::copy(test::fixture("models/nano-frankenstein/hf-sharded"), copy);
  const auto write = [&](const char* name, std::string_view text) { std::ofstream(copy / name, std::ios::binary) << text; };
  const auto file = open_model(copy);
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_FALSE(*find_chat_template(*file));
  write("chat_template.json", R"({"chat_template": "in json"})");
  EXPECT_EQ((*find_chat_template(*file))->text, "in json");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}], "bos_token": {"content": "<B>"}})");
  EXPECT_EQ((*find_chat_template(*file))->text, "plain");
  EXPECT_EQ((*find_chat_template(*file, true))->text, "tools");
  EXPECT_EQ((*find_chat_template(*file))->origin, "chat_template of tokenizer_config.json");
  write("chat_template.jinja", "{{ bos_token }}{{ messages[0].content }}{% if tools %}+{{ tools | length }}{% endif %}");
  EXPECT_EQ((*find_chat_template(*file))->origin, "chat_template.jinja");

  const auto tokenizer = Tokenizer::open(*file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message();
  const auto format = ChatFormat::of_model(*file, *tokenizer);
  ASSERT_TRUE(format) << format.error().message();
  EXPECT_EQ(format->origin(), "the model's template");
  Conversation conversation;
  conversation.add("user", "Hi");
  conversation.settings.emplace_back("tools", Json::Array{Json("f")});
  EXPECT_EQ(*format->render(conversation, true, {}), "<B>Hi+1");
  const auto chatml = ChatFormat::named("chatml", *file, *tokenizer);
  ASSERT_TRUE(chatml);
  EXPECT_EQ(chatml->render(conversation, true, {}).error().message(), "tools: the built-in format chatml has no place for tools; they need a model with a chat template for them");
}

// Vocabularies of other projects are read where they lie.
TEST(ChatFormat, RendersThePublishedTemplateOfPhi3) {
  ASSAY_SHARED_OR_SKIP(path, "tokenizers/ggml-vocab-phi-3.gguf");
  const auto file = open_model(path);
  ASSERT_TRUE(file) << file.error().message();
  const auto tokenizer = Tokenizer::open(*file);
  ASSERT_TRUE(tokenizer);
  const auto format = ChatFormat::of_model(*file, *tokenizer);
  ASSERT_TRUE(format) << format.error().message();
  Conversation conversation;
  conversation.add("user", "Hello");
  conversation.add("assistant", "Hi.");
  conversation.add("user", "Bye");
  EXPECT_EQ(*format->render(conversation, true, {}), "<s><|user|>\nHello<|end|>\n<|assistant|>\nHi.<|end|>\n<|user|>\nBye<|end|>\n<|assistant|>\n");
}

}  // namespace
}  // namespace assay
