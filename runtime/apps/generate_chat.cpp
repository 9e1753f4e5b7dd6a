// Reads lines and commands, prints answers as they come.
#include "runtime/apps/generate_chat.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>

#include "runtime/core/host.h"
#include "runtime/core/progress.h"

namespace assay {

namespace {

std::tm now_here() {
  const std::time_t now = std::time(nullptr);
  std::tm out = {};
  ::localtime_r(&now, &out);
  return out;
}

Result<std::string> read_text(const std::string& path, const char* subject) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{Code::io, subject, "cannot be read", path};
  return std::string(std::istreambuf_iterator<char>(in), {});
}

Result<Conversation> read_conversation(const std::string& path, const char* subject) {
  ASSAY_TRY(const std::string text, read_text(path, subject));
  const auto named = [&](Error error) {
    error.file = path;
    return error;
  };
  auto json = parse_json(text);
  if (!json) return named(std::move(json).error());
  auto conversation = parse_conversation(*json);
  if (!conversation) return named(std::move(conversation).error());
  return conversation;
}

bool is_system(const Json& message) { return *message.find("role")->string() == "system"; }

// Replaces the system message, or takes it away when the text is empty.
void set_system(Conversation& conversation, std::string_view text) {
  std::erase_if(conversation.messages, is_system);
  if (text.empty()) return;
  Conversation first;
  first.add("system", text);
  conversation.messages.insert(conversation.messages.begin(), first.messages[0]);
}

bool has_tools(const Conversation& conversation) {
  for (const auto& [name, value] : conversation.settings)
    if (name == "tools" && value.array() != nullptr && !value.array()->empty()) return true;
  return false;
}

// Lines of standard input; an interrupt ends the waiting for one. The signal may come to any thread, or just before the waiting begins:
// it is looked for again and again, and no system call is relied on to end by it.
class Lines {
 public:
  enum class Got : std::uint8_t { line, end, interrupt };
  Lines(std::string held, const volatile std::sig_atomic_t& interrupted) : held_(std::move(held)), interrupted_(interrupted) {}
  std::string take_rest() { return std::move(held_); }

  Got next(std::string& line) {
    while (true) {
      const std::size_t end = held_.find('\n');
      if (end != std::string::npos || (ended_ && !held_.empty())) {
        line = held_.substr(0, end);
        held_.erase(0, end == std::string::npos ? end : end + 1);
        if (line.ends_with('\r')) line.pop_back();
        return Got::line;
      }
      if (ended_) return Got::end;
      pollfd input = {STDIN_FILENO, POLLIN, 0};
      const int ready = ::poll(&input, 1, kLookMs);
      if (interrupted_ != 0) return Got::interrupt;
      if (ready <= 0) continue;
      std::array<char, 4096> bytes;
      const ssize_t count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) ended_ = true;
      if (count > 0) held_.append(bytes.data(), static_cast<std::size_t>(count));
    }
  }

 private:
  static constexpr int kLookMs = 100;
  std::string held_;
  const volatile std::sig_atomic_t& interrupted_;
  bool ended_ = false;
};

class Talk {
 public:
  Talk(const ChatSurroundings& around, Session& session, const Tokenizer& tokenizer, const ChatFormat& format, Conversation conversation, std::string input)
      : around_(around), session_(session), format_(format), chat_(session, tokenizer, format, around.options), conversation_(std::move(conversation)), interrupted_(around.interrupted), lines_(std::move(input), around.interrupted) {}

  Result<> answer() {
    ASSAY_TRY(Answer answer, chat_.answer(conversation_, now_here(), [&](std::string_view text) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      if (!text.empty()) std::fflush(stdout);
      return interrupted_ == 0;
    }));
    std::fputs(answer.text.ends_with('\n') ? "" : "\n", stdout);
    std::fflush(stdout);
    conversation_.add("assistant", answer.text);
    tell(answer);
    last_ = std::move(answer);
    return success();
  }

  // Reads to the end of input, /quit, a Ctrl-C at the prompt, or the first message for another model.
  Result<std::optional<NextModel>> run() {
    const bool is_terminal = ::isatty(STDIN_FILENO) == 1;
    if (is_terminal) say("/help tells the commands; Ctrl-C ends an answer, Ctrl-D the conversation");
    std::string message;
    while (true) {
      if (is_terminal) std::fputs(message.empty() ? "> " : ". ", stderr);
      std::string line;
      const Lines::Got got = lines_.next(line);
      if (got == Lines::Got::end) return std::optional<NextModel>();
      if (got == Lines::Got::interrupt) return std::optional<NextModel>();  // the program ends with what that means
      if (message.empty() && line.starts_with('/') && !line.starts_with("//")) {
        if (!command(line)) return std::optional<NextModel>();
        continue;
      }
      const bool goes_on = line.ends_with('\\');
      if (goes_on) line.back() = '\n';
      message += message.empty() && line.starts_with("//") ? line.substr(1) : line;
      if (goes_on || message.empty()) continue;
      conversation_.add("user", std::exchange(message, {}));
      if (auto next = take_next()) return next;
      auto answered = answer();
      interrupted_ = 0;  // it ended the answer, and no more
      if (answered) continue;
      conversation_.messages.pop_back();
      if (!is_terminal) return std::move(answered).error();
      say(answered.error().message());
    }
  }

 private:
  void say(const std::string& text) const { fmt::print(stderr, "generate: {}\n", text); }

  // /model NAME
  void start_loading(const std::string& name) {
    auto loading = around_.load_next(name);
    if (!loading) return say("error: " + loading.error().message());
    next_ = std::move(*loading);
    say(fmt::format("{} is being loaded; it answers the next message", name));
  }

  // The model that /model asked for, when it is one that can go on with this conversation.
  std::optional<NextModel> take_next() {
    if (!next_.valid()) return std::nullopt;
    auto loaded = next_.get();
    const auto usable = [&]() -> Result<> {
      if (!loaded) return std::move(loaded).error();
      if (!loaded->tokenizer()) return loaded->tokenizer().error();
      ASSAY_TRY([[maybe_unused]] const ChatFormat format, chat_format(around_.arguments, conversation_, loaded->file(), *loaded->tokenizer(), true));
      return success();
    }();
    if (usable) return NextModel{std::move(*loaded), std::move(conversation_), lines_.take_rest()};
    say("error: " + usable.error().message() + "; the model stays");
    return std::nullopt;
  }

  void tell(const Answer& answer) {
    if (around_.is_quiet) return;
    if (answer.left_out_messages > last_.left_out_messages)
      say(fmt::format("note: the conversation outgrew the context of {} tokens; its first {} messages are left out", session_.context(), answer.left_out_messages));
    if (answer.end == AnswerEnd::context) say(fmt::format("note: the context of {} tokens is full: the answer ends here; ask for more with --context", session_.context()));
    if (answer.end == AnswerEnd::interrupted) say("note: interrupted; what was said of the answer stays in the conversation");
  }

  std::string statistics() const {
    const auto rate = [](std::size_t tokens, double ms) { return ms > 0 ? 1e3 * static_cast<double>(tokens) / ms : 0; };
    const std::size_t computed = last_.prompt_tokens - last_.reused_tokens;
    return fmt::format("{} messages, formatted by {} | cache {} of {} tokens | last prompt {} tokens, {} of them cached, {:.1f} tok/s | last answer {} tokens, {:.1f} tok/s | resident {}", conversation_.messages.size(),
                       format_.origin(), chat_.cached_tokens(), session_.context(), last_.prompt_tokens, last_.reused_tokens, rate(computed, last_.prompt_ms), last_.generated_tokens,
                       rate(last_.generated_tokens, last_.decode_ms), format_bytes(read_process_memory().resident_bytes));
  }

  void save(const std::string& path) const {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << to_text(to_json(conversation_), 2) << "\n";
    out.close();
    say(out ? fmt::format("{} messages saved in {}", conversation_.messages.size(), path) : fmt::format("error: {}: cannot be written", path));
  }

  void load(const std::string& path) {
    auto loaded = read_conversation(path, "/load");
    if (!loaded) return say("error: " + loaded.error().message());
    conversation_ = std::move(*loaded);
    say(fmt::format("{} messages loaded from {}", conversation_.messages.size(), path));
  }

  // False when it ends the conversation.
  bool command(const std::string& line) {
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string word = line.substr(0, space), rest = line.substr(std::min(line.find_first_not_of(' ', space), line.size()));
    if (word == "/quit" || word == "/exit") return false;
    if (word == "/help") {
      say("commands:\n"
          "  /reset          forget the conversation, except for the system message\n"
          "  /system TEXT    replace the system message; without a text remove it\n"
          "  /save FILE      write the conversation as JSON, for --messages and /load\n"
          "  /load FILE      go on with a conversation from a file\n"
          "  /model NAME     go on with another model, which is loaded beside this one\n"
          "  /stats          tokens, speed, memory\n"
          "  /quit           end, as Ctrl-D does\n"
          "A line that ends with \\ goes on in the next one; // begins a message with a /.");
    } else if (word == "/reset") {
      std::erase_if(conversation_.messages, [](const Json& message) { return !is_system(message); });
      chat_.forget();
      last_ = {};
      say("the conversation is forgotten");
    } else if (word == "/system") {
      set_system(conversation_, rest);
      say(rest.empty() ? "there is no system message now" : "the system message is replaced");
    } else if (word == "/save" || word == "/load" || word == "/model") {
      if (rest.empty())
        say(fmt::format("error: {} needs a {}", word, word == "/model" ? "model" : "file"));
      else if (word == "/model")
        start_loading(rest);
      else if (word == "/save")
        save(rest);
      else
        load(rest);
    } else if (word == "/stats") {
      say(statistics());
    } else {
      say(fmt::format("error: {} is no command; /help tells them, and // begins a message with a /", word));
    }
    return true;
  }

  const ChatSurroundings& around_;
  Session& session_;
  const ChatFormat& format_;
  ChatSession chat_;
  Conversation conversation_;
  volatile std::sig_atomic_t& interrupted_;
  Lines lines_;
  std::future<Result<LoadedModel>> next_;
  Answer last_;
};

}  // namespace

Result<Conversation> first_conversation(const ChatArguments& arguments, const std::string& prompt) {
  Conversation out;
  if (!arguments.messages_file.empty()) {
    ASSAY_TRY(out, read_conversation(arguments.messages_file, "--messages"));
  }
  if (!arguments.system.empty()) set_system(out, arguments.system);
  if (!prompt.empty()) out.add("user", prompt);
  return out;
}

Result<ChatFormat> chat_format(const ChatArguments& arguments, const Conversation& conversation, const ModelFile& file, const Tokenizer& tokenizer, bool is_quiet) {
  if (!arguments.template_name.empty()) return ChatFormat::named(arguments.template_name, file, tokenizer);
  auto format = ChatFormat::of_model(file, tokenizer, has_tools(conversation));
  if (format && !format->note().empty() && !is_quiet) fmt::print(stderr, "generate: note: {}\n", format->note());
  return format;
}

Result<std::string> rendered_prompt(const ChatFormat& format, const Conversation& conversation) { return format.render(conversation, true, now_here()); }

Result<std::optional<NextModel>> run_chat(const ChatSurroundings& around, Session& session, const Tokenizer& tokenizer, const ChatFormat& format, Conversation conversation, std::string input) {
  const bool has_question = !conversation.messages.empty() && !is_system(conversation.messages.back()) && *conversation.messages.back().find("role")->string() != "assistant";
  if (!has_question && !around.arguments.is_typed) return Error{Code::usage, "--messages", "the last message must be a user's or a tool's, so that there is something to answer"};
  Talk talk(around, session, tokenizer, format, std::move(conversation), std::move(input));
  if (has_question) ASSAY_TRY_VOID(talk.answer());
  if (!around.arguments.is_typed) return std::optional<NextModel>();
  if (has_question) around.interrupted = 0;
  return talk.run();
}

}  // namespace assay
