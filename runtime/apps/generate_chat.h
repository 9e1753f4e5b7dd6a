// generate's conversations: typed ones, and those of a file.
#pragma once

#include <csignal>
#include <functional>
#include <future>
#include <optional>
#include <string>

#include "runtime/engine/chat_session.h"
#include "runtime/engine/loaded_model.h"

namespace assay {

struct ChatArguments {
  bool is_typed = false;      // --chat
  bool shows_prompt = false;  // --show-prompt
  bool keeps_all = false;     // --no-shift
  std::string messages_file, template_name, system;

  bool is_wanted() const { return is_typed || shows_prompt || !messages_file.empty() || !template_name.empty() || !system.empty(); }
};

// The conversation as it begins: --messages, --system and the prompt, when there is one, as the user's message. Errors: io, those
// of parse_conversation.
Result<Conversation> first_conversation(const ChatArguments& arguments, const std::string& prompt);

// The format that the arguments name, else the model's own; what the user should know goes to stderr.
Result<ChatFormat> chat_format(const ChatArguments& arguments, const Conversation& conversation, const ModelFile& file, const Tokenizer& tokenizer, bool is_quiet);

// The text that the model would be given.
Result<std::string> rendered_prompt(const ChatFormat& format, const Conversation& conversation);

// What a conversation needs beside the model.
struct ChatSurroundings {
  const ChatArguments& arguments;
  AnswerOptions options;
  volatile std::sig_atomic_t& interrupted;  // set by SIGINT, which ends an answer and not the program; cleared when it has
  bool is_quiet = false;
  std::function<Result<std::future<Result<LoadedModel>>>(const std::string& name)> load_next;  // for /model
};

// The user asked for another model: it is loaded, and the conversation goes on with it when the present one is gone.
struct NextModel {
  LoadedModel model;
  Conversation conversation;
  std::string input;  // what was read of standard input and not used yet
};

// Answers the conversation's last message, when it is a user's or a tool's; with --chat then reads on from standard input.
// Answers go to stdout, all else to stderr. Errors: of what cannot be answered, when nobody sits at a terminal to try again.
Result<std::optional<NextModel>> run_chat(const ChatSurroundings& around, Session& session, const Tokenizer& tokenizer, const ChatFormat& format, Conversation conversation, std::string input = {});

}  // namespace assay
