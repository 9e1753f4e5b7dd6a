// generate's conversations, through a pipe: exact answers, commands, history, what goes wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "tests/apps/command.h"

namespace assay::test {
namespace {

namespace fs = std::filesystem;

const std::string kFolder = fixture("models/nano-frankenstein/hf-sharded");
const std::string kModel = fixture("models/nano-frankenstein/gguf/nano-frankenstein-F16.gguf");

constexpr const char* kTemplate =
    "{% for m in messages %}{{ m.role | capitalize }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}\n";

// A template in a file, and whatever else a test writes.
class Chat : public testing::Test {
 protected:
  Chat() { write("plain.jinja", kTemplate); }

  std::string write(const std::string& name, const std::string& text) {
    const std::string path = folder_.path() / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  std::string path(const std::string& name) const { return folder_.path() / name; }

  Outcome chat(const std::string& input, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"-m", kModel, "--chat", "--template", path("plain.jinja"), "-n", "12"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run({.program = "generate", .arguments = std::move(arguments), .input = input});
  }
  // What the model says after a text, without a conversation.
  static std::string continuation(const std::string& text, const std::string& count = "12") {
    const auto outcome = run({"generate", {"-m", kModel, "-p", text, "-n", count, "-q"}});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  }

  const TemporaryFolder folder_;
};

bool holds(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_F(Chat, AnswersEveryLineAsTheModelContinuesTheConversation) {
  const std::string first = continuation("User: Hello there.\nAssistant:");
  const std::string said = first.substr(0, first.size() - 1);  // the line end is the program's
  const std::string second = continuation("User: Hello there.\nAssistant: " + said + "\nUser: Who are you?\nAssistant:");
  const auto outcome = chat("Hello there.\nWho are you?\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, first + second);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(Chat, WhatTheCacheHoldsIsNotComputedAgain) {
  const auto outcome = chat("Hello there.\n/stats\nWho are you?\n/stats\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(holds(outcome.err, "last prompt 19 tokens, 0 of them cached")) << outcome.err;
  // The whole first prompt stays; the answer's text is read as other tokens than those that made it.
  EXPECT_TRUE(holds(outcome.err, " 19 of them cached")) << outcome.err;
}

TEST_F(Chat, ResetForgetsAndTheSystemMessageStays) {
  const std::string with_system = continuation("System: Be Victor.\nUser: Hello there.\nAssistant:");
  const auto outcome = chat("Hello there.\nMore.\n/reset\nHello there.\n/system\nHello there.\n", {"--system", "Be Victor."});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.substr(0, with_system.size()), with_system);
  EXPECT_TRUE(holds(outcome.out, with_system)) << outcome.out;
  EXPECT_NE(outcome.out.find(with_system, with_system.size()), std::string::npos) << "the first answer comes again after /reset: " << outcome.out;
  EXPECT_TRUE(holds(outcome.err, "the conversation is forgotten"));
  EXPECT_TRUE(holds(outcome.err, "there is no system message now"));
}

TEST_F(Chat, SavesAndLoadsAConversation) {
  const auto saved = chat("Hello there.\n/save " + path("saved.json") + "\n", {"--system", "Be brief."});
  EXPECT_EQ(saved.exit_code, 0) << saved.err;
  EXPECT_TRUE(holds(saved.err, "3 messages saved")) << saved.err;
  const Json json = read_json(path("saved.json"));
  const Json::Array& messages = *json.find("messages")->array();
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(*messages[0].find("role")->string(), "system");
  EXPECT_EQ(*messages[2].find("content")->string() + "\n", saved.out);

  const auto straight = chat("Hello there.\nWho are you?\n", {"--system", "Be brief."});
  const auto loaded = chat("/load " + path("saved.json") + "\nWho are you?\n");
  EXPECT_EQ(loaded.exit_code, 0) << loaded.err;
  EXPECT_EQ(straight.out, saved.out + loaded.out);
  const auto from_file = chat("Who are you?\n", {"--messages", path("saved.json")});
  EXPECT_EQ(from_file.out, loaded.out);
}

TEST_F(Chat, CommandsThatGoWrongAreToldAndTheConversationGoesOn) {
  const auto outcome = chat("/nonsense\n/save\n/load " + path("missing.json") + "\n/help\n//slash\\\nsecond line\n/quit\nnever answered\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, continuation("User: /slash\nsecond line\nAssistant:"));
  for (const char* part : {"/nonsense is no command", "/save needs a file", "missing.json: /load: cannot be read", "/system TEXT"}) EXPECT_TRUE(holds(outcome.err, part)) << part << "\n" << outcome.err;
}

// The conversation goes on: what the second model answers is its own continuation of all that was said. Lines that follow are
// read by the conversation that goes on; a model that cannot be loaded changes nothing.
TEST_F(Chat, GoesOnWithAnotherModel) {
  const std::string tiny = fixture("models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf");
  const std::string first = continuation("User: Hello there.\nAssistant:");
  const std::string text = "User: Hello there.\nAssistant: " + first.substr(0, first.size() - 1) + "\nUser: Who are you?\nAssistant:";
  const auto second = run({"generate", {"-m", tiny, "-p", text, "-n", "12", "-q", "--no-special"}});  // the template has no BOS
  const auto outcome = chat("Hello there.\n/model " + tiny + "\nWho are you?\n/stats\n/model\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, first + second.out);
  EXPECT_TRUE(holds(outcome.err, "is being loaded; it answers the next message")) << outcome.err;
  EXPECT_TRUE(holds(outcome.err, "4 messages")) << "/stats was read: " << outcome.err;
  EXPECT_TRUE(holds(outcome.err, "/model needs a model")) << outcome.err;

  const auto missing = chat("Hello there.\n/model " + path("missing.gguf") + "\nWho are you?\n");
  const auto broken = chat("Hello there.\n/model " + fixture("corrupt/gguf/arch_unknown.gguf").string() + "\nWho are you?\n");
  const auto straight = chat("Hello there.\nWho are you?\n");
  EXPECT_EQ(missing.out, straight.out);
  EXPECT_TRUE(holds(missing.err, "missing.gguf")) << missing.err;
  EXPECT_EQ(broken.out, straight.out);
  EXPECT_TRUE(holds(broken.err, "frobnicator")) << broken.err;
  EXPECT_TRUE(holds(broken.err, "; the model stays")) << broken.err;
}

TEST_F(Chat, AnswersAFileOfMessagesWithPartsAndTools) {
  write("tools.jinja", "{% for t in tools %}[{{ t.function.name }}]{% endfor %}\n{% for m in messages %}\n{{ m.role }}: {{ m.content }}{% for c in m.tool_calls or [] %}<{{ c.function.name }} {{ c.function.arguments.place }}>{% endfor %}\n\n{% endfor %}");
  write("messages.json", R"({"model": "x", "tools": [{"type": "function", "function": {"name": "weather"}}], "messages": [
    {"role": "developer", "content": "Use tools."}, {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
    {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{\"place\": \"Ulm\"}"}}]},
    {"role": "tool", "tool_call_id": "1", "content": "rain"}]})");
  const std::string expected = "[weather]system: Use tools.\nuser: one\ntwo\nassistant: <weather Ulm>\ntool: rain\n";
  const auto shown = run({"generate", {"-m", kModel, "--messages", path("messages.json"), "--template", path("tools.jinja"), "--show-prompt"}});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_EQ(shown.out, expected);
  const auto answered = run({"generate", {"-m", kModel, "--messages", path("messages.json"), "--template", path("tools.jinja"), "-n", "12"}});
  EXPECT_EQ(answered.exit_code, 0) << answered.err;
  EXPECT_EQ(answered.out, continuation(expected));
}

TEST_F(Chat, TheModelsOwnTemplateIsUsedWithItsTokens) {
  const fs::path copy = folder_.path() / "model";
  fs::copy(kFolder, copy);
  std::ofstream(copy / "chat_template.jinja") << "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}";
  const auto shown = run({"generate", {"-m", copy, "--system", "S", "-p", "U", "--show-prompt"}});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_EQ(shown.out, "<|endoftext|>[system]S<|endoftext|>[user]U<|endoftext|>");
}

TEST_F(Chat, ATemplateThatCannotBeRenderedFallsBackToTheFamilyItLooksLike) {
  const fs::path copy = folder_.path() / "model";
  fs::copy(kFolder, copy);
  std::ofstream(copy / "chat_template.jinja") << "{# <|im_start|> #}\n{% include 'x' %}";
  const auto shown = run({"generate", {"-m", copy, "-p", "U", "--system", "S", "--show-prompt"}});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_EQ(shown.out, "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_TRUE(holds(shown.err, "line 2: {% include %} is not supported")) << shown.err;
  EXPECT_TRUE(holds(shown.err, "chatml")) << shown.err;
  std::ofstream(copy / "chat_template.jinja") << "{% include 'x' %}";
  const auto refused = run({"generate", {"-m", copy, "--chat"}});
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_TRUE(holds(refused.err, "{% include %} is not supported; choose a built-in format with --template FAMILY (")) << refused.err;
}

// generation_config.json may name further tokens that end a turn: the answer stops before the first of them.
TEST_F(Chat, AnEndOfTurnTokenOfTheConfigurationEndsTheAnswer) {
  const std::string prompt = "User: Hello there.\nAssistant:";
  const auto ids = run({"generate", {"-m", kFolder, "-p", prompt, "-n", "8", "--print-ids", "-q"}});
  std::vector<std::string> list;
  for (std::size_t at = 0; at < ids.out.size();) {
    const std::size_t end = std::min(ids.out.find(',', at), ids.out.size() - 1);
    list.push_back(ids.out.substr(at, end - at));
    at = end + 1;
  }
  ASSERT_EQ(list.size(), 8u) << ids.out;
  std::size_t last = 1;  // a token that the ones before it are not
  while (last < 7 && std::find(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(last), list[last]) != list.begin() + static_cast<std::ptrdiff_t>(last)) ++last;
  const fs::path copy = folder_.path() / "model";
  fs::copy(kFolder, copy);
  std::ofstream(copy / "generation_config.json") << "{\"eos_token_id\": [511, " << list[last] << "]}";
  const std::vector<std::string> arguments = {"-m", copy, "--template", path("plain.jinja"), "-p", "Hello there."};
  const auto ended = run({"generate", arguments});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  std::string said = continuation(prompt, std::to_string(last));
  if (said.ends_with("\n\n")) said.pop_back();  // no second line end after an answer that has one
  EXPECT_EQ(ended.out, said);
}

TEST_F(Chat, LeavesOutOldTurnsWhenTheContextIsFullOrEndsWhenAskedTo) {
  std::string lines;
  for (int i = 0; i < 12; ++i) lines += "This is line number " + std::to_string(i) + " of a longer conversation.\n";
  const auto shifted = chat(lines, {"-c", "128"});
  EXPECT_EQ(shifted.exit_code, 0) << shifted.err;
  EXPECT_TRUE(holds(shifted.err, "outgrew the context of 128 tokens")) << shifted.err;
  const auto ended = chat(lines, {"-c", "128", "--no-shift"});
  EXPECT_EQ(ended.exit_code, 3) << ended.err;
  EXPECT_TRUE(holds(ended.err, "do not fit the context of 128")) << ended.err;
  EXPECT_EQ(shifted.out.substr(0, ended.out.size()), ended.out);
  const auto huge = chat(lines.substr(0, 40) + std::string(2000, 'x') + "\n", {"-c", "128"});
  EXPECT_EQ(huge.exit_code, 3);
  EXPECT_TRUE(holds(huge.err, "do not fit the context of 128")) << huge.err;
  const auto full = run({"generate", {"-m", kModel, "--template", path("plain.jinja"), "-p", "Hello there.", "-c", "24", "--ignore-eos"}});
  EXPECT_EQ(full.exit_code, 0) << full.err;
  EXPECT_TRUE(holds(full.err, "the context of 24 tokens is full: the answer ends here")) << full.err;
}

// The slow backend needs seconds for this answer; the signal comes in the middle of it.
TEST_F(Chat, AnInterruptEndsTheAnswerAndNotTheConversation) {
  const auto outcome = run({.program = "generate",
                            .arguments = {"-m", fixture("models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf"), "--chat", "--template", path("plain.jinja"), "--ignore-eos", "--backend", "reference", "-c", "500"},
                            .interrupt_after = std::chrono::milliseconds(700),
                            .input = "Hello there.\n/stats\n"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(holds(outcome.err, "note: interrupted")) << outcome.err;
  EXPECT_TRUE(holds(outcome.err, "2 messages")) << outcome.err;
}

TEST_F(Chat, SaysWhatIsWrongWithMessagesAndTemplates) {
  const auto refuse = [&](std::vector<std::string> arguments, int exit_code, std::string_view part) {
    arguments.insert(arguments.begin(), {"-m", kModel});
    const auto outcome = run({.program = "generate", .arguments = arguments, .input = ""});
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
    EXPECT_TRUE(holds(outcome.err, part)) << part << "\n" << outcome.err;
    EXPECT_EQ(outcome.out, "");
  };
  refuse({"--chat"}, 3, "the model has none; choose a built-in format with --template FAMILY (");
  refuse({"--chat", "--template", "nonsense"}, 3, "\"nonsense\" is neither a built-in format (");
  refuse({"--chat", "--ids", "1"}, 2, "excludes");
  refuse({"--messages", path("missing.json"), "--template", "chatml"}, 3, "missing.json");
  refuse({"--messages", write("a.json", "[1]"), "--template", "chatml"}, 3, "messages[0]: is no object");
  refuse({"--messages", write("b.json", "{}"), "--template", "chatml"}, 3, "there is no list of messages");
  refuse({"--messages", write("c.json", "[{\"role\": \"user\"}]"), "--template", "chatml"}, 3, "messages[0]: has no content");
  refuse({"--messages", write("d.json", "[{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]"), "--template", "chatml"}, 3, "a part of type \"image_url\": Assay reads text only");
  refuse({"--messages", write("e.json", "[{\"role\": \"narrator\", \"content\": \"x\"}]"), "--template", "chatml"}, 3, "no place for the role \"narrator\"");
  refuse({"--messages", write("f.json", "[{\"role\": \"assistant\", \"content\": \"x\"}]"), "--template", "chatml"}, 2, "the last message must be a user's");
  refuse({"--messages", write("g.json", "[{\"role\": \"user\", \"content\": \"x\"}"), "--template", "chatml"}, 3, "g.json");
  refuse({"-p", "x", "--template", write("raise.jinja", "\n{{ raise_exception('not you') }}")}, 3, "line 2: the template refuses this conversation: not you");
  refuse({"-p", "x", "--template", write("broken.jinja", "{% if %}")}, 3, "broken.jinja: chat template: line 1");
}

}  // namespace
}  // namespace assay::test
