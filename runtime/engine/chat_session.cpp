// Finds what is new in a conversation, computes it, and decodes the answer.
#include "runtime/engine/chat_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "runtime/engine/stop_texts.h"

namespace assay {

namespace {

using Clock = std::chrono::steady_clock;
double ms_since(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

const std::string& role_of(const Json& message) { return *message.find("role")->string(); }

// Room that an answer should have.
std::size_t room_for_answer(int predict, std::size_t context) {
  const std::size_t quarter = std::max<std::size_t>(1, context / 4);
  return predict < 0 ? std::min<std::size_t>(256, quarter) : std::min<std::size_t>(static_cast<std::size_t>(std::max(1, predict)), quarter);
}

// Without the first `count` messages after the system's.
Conversation without_old(const Conversation& conversation, std::size_t count) {
  Conversation out{{}, conversation.settings};
  for (const Json& message : conversation.messages) {
    if (role_of(message) != "system" && count > 0)
      --count;
    else
      out.messages.push_back(message);
  }
  return out;
}

// How many messages are left out when one more exchange goes: up to the next user's message. Nothing when none can go.
std::optional<std::size_t> leave_out_more(const Conversation& conversation, std::size_t left_out) {
  std::size_t place = 0;  // among those that are not the system's
  for (const Json& message : conversation.messages) {
    if (role_of(message) == "system") continue;
    if (place > left_out && role_of(message) == "user") return place;
    ++place;
  }
  return std::nullopt;
}

}  // namespace

ChatSession::ChatSession(Session& session, const Tokenizer& tokenizer, const ChatFormat& format, AnswerOptions options)
    : session_(session), tokenizer_(tokenizer), format_(format), options_(std::move(options)), sampler_(options_.sampler) {}

void ChatSession::forget() {
  session_.rewind();
  tokens_.clear();
  left_out_ = 0;
}

Result<std::vector<TokenId>> ChatSession::prompt_of(const Conversation& conversation, const std::tm& now) {
  const std::size_t context = session_.context(), room = room_for_answer(options_.predict, context);
  std::size_t wanted = context - room;  // once old turns go, more than needed, so that the cache stays useful for a while
  if (left_out_ >= conversation.messages.size()) left_out_ = 0;
  while (true) {
    ASSAY_TRY(const std::string text, format_.render(without_old(conversation, left_out_), true, now));
    std::vector<TokenId> ids = tokenizer_.encode(text, {.add_special = false, .parse_special = true});
    if (ids.empty()) return Error{Code::malformed, "conversation", fmt::format("{} makes no text of it", format_.origin())};
    if (ids.size() <= wanted) return ids;
    const auto more = options_.leaves_out_old ? leave_out_more(conversation, left_out_) : std::nullopt;
    if (!more && ids.size() < context) return ids;
    if (!more) return Error{Code::range, "conversation", fmt::format("{} tokens do not fit the context of {}; begin anew, write less, or ask for more with --context", ids.size(), context)};
    left_out_ = *more;
    wanted = context / 2;
  }
}

Result<std::span<const float>> ChatSession::feed(std::span<const TokenId> tokens) {
  ASSAY_TRY(const auto logits, session_.feed(tokens, LogitsWanted::last));
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  return logits;
}

Result<Answer> ChatSession::answer(const Conversation& conversation, const std::tm& now, FunctionRef<bool(std::string_view)> show) {
  const Clock::time_point start = Clock::now();
  ASSAY_TRY(const std::vector<TokenId> ids, prompt_of(conversation, now));
  Answer out;
  out.prompt_tokens = ids.size();
  out.left_out_messages = left_out_;
  const auto differs = std::mismatch(ids.begin(), ids.end(), tokens_.begin(), tokens_.end()).first;
  const auto same = std::min<std::size_t>(static_cast<std::size_t>(differs - ids.begin()), ids.size() - 1);
  out.reused_tokens = same;
  session_.rewind(static_cast<std::uint32_t>(same));
  tokens_.resize(same);
  std::span<const float> logits;
  for (std::span<const TokenId> rest = std::span(ids).subspan(same); !rest.empty();) {
    const std::size_t count = std::min<std::size_t>(session_.options().batch, rest.size());
    ASSAY_TRY(logits, feed(rest.first(count)));
    rest = rest.subspan(count);
    if (!show("")) {
      out.end = AnswerEnd::interrupted;
      out.prompt_ms = ms_since(start);
      return out;
    }
  }
  out.prompt_ms = ms_since(start);
  ASSAY_TRY_VOID(decode(logits, out, show));
  return out;
}

Result<> ChatSession::decode(std::span<const float> logits, Answer& out, FunctionRef<bool(std::string_view)> show) {
  const Clock::time_point start = Clock::now();
  Utf8Stream stream;
  StopTexts stops(options_.stops);
  bool goes_on = true;
  const auto add = [&](const std::string& text) {
    out.text += text;
    if (!text.empty()) goes_on = show(text) && goes_on;
  };
  out.end = AnswerEnd::count;
  while (options_.predict < 0 || out.generated_tokens < static_cast<std::size_t>(options_.predict)) {
    const TokenId next = sampler_.next(logits, tokens_);
    if (tokenizer_.is_end(next) && !options_.ignores_end) {
      out.end = AnswerEnd::end_token;
      break;
    }
    ++out.generated_tokens;
    bool stopped = false;
    add(stops.push(stream.push(tokenizer_.piece(next)), stopped));
    goes_on = show("") && goes_on;
    if (stopped || !goes_on) {
      out.end = stopped ? AnswerEnd::stop_text : AnswerEnd::interrupted;
      break;
    }
    if (session_.position() == session_.context()) {
      out.end = AnswerEnd::context;
      break;
    }
    ASSAY_TRY(logits, feed({&next, 1}));
  }
  if (out.end != AnswerEnd::stop_text) {
    bool stopped = false;
    add(stops.push(stream.finish(), stopped));
    if (!stopped) add(stops.rest());
  }
  out.decode_ms = ms_since(start);
  return success();
}

}  // namespace assay
