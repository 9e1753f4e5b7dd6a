// ChatSession: answers to a conversation; what the KV cache holds of it already is not computed again.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/function_ref.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/session.h"
#include "runtime/model/chat/chat_format.h"

namespace assay {

struct AnswerOptions {
  SamplerOptions sampler{};
  int predict = -1;  // tokens at most; below 0: until the answer ends or the context is full
  std::vector<std::string> stops{};
  bool ignores_end = false;    // goes on after an end token
  bool leaves_out_old = true;  // when the context is full, old turns are left out; else that is an error
};

enum class AnswerEnd : std::uint8_t { end_token, stop_text, count, context, interrupted };

struct Answer {
  std::string text;
  AnswerEnd end = AnswerEnd::end_token;
  std::size_t prompt_tokens = 0, reused_tokens = 0;  // of the conversation; those that were in the cache
  std::size_t generated_tokens = 0;
  std::size_t left_out_messages = 0;  // old ones, for which there was no room
  double prompt_ms = 0, decode_ms = 0;
};

class ChatSession {
 public:
  // All three must outlive it.
  ChatSession(Session& session, const Tokenizer& tokenizer, const ChatFormat& format, AnswerOptions options);

  // The answer to the last message. `show` gets its text as it comes, whole characters, and says whether to go on; it is asked
  // with nothing to show, too, while a long prompt is computed. Errors: range (the conversation does not fit the context),
  // those of ChatFormat::render.
  Result<Answer> answer(const Conversation& conversation, const std::tm& now, FunctionRef<bool(std::string_view)> show);

  // Tokens in the cache.
  std::size_t cached_tokens() const { return tokens_.size(); }
  void forget();

 private:
  Result<std::vector<TokenId>> prompt_of(const Conversation& conversation, const std::tm& now);
  Result<std::span<const float>> feed(std::span<const TokenId> tokens);
  Result<> decode(std::span<const float> logits, Answer& answer, FunctionRef<bool(std::string_view)> show);

  Session& session_;
  const Tokenizer& tokenizer_;
  const ChatFormat& format_;
  AnswerOptions options_;
  Sampler sampler_;
  std::vector<TokenId> tokens_;   // what the cache holds
  std::size_t left_out_ = 0;      // messages after the system's
};

}  // namespace assay
