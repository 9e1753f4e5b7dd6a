// Utf8Stream: holds back the bytes of a character until it is whole.
#include "runtime/model/tokenizer.h"
#include "runtime/model/tokenizer/utf8.h"

namespace assay {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

// How many more bytes could make `text` (which starts no whole character) one: 0 when none could.
bool may_continue(std::string_view text) {
  std::string trial(text);
  for (const char low : {'\x80', '\x90', '\xa0'}) {
    trial.resize(text.size());
    trial.push_back(low);
    while (trial.size() < 4 && utf8::sequence_length(trial) == 0) trial.push_back('\x80');
    if (utf8::sequence_length(trial) == trial.size()) return true;
  }
  return false;
}

}  // namespace

std::string Utf8Stream::push(std::string_view piece) {
  pending_ += piece;
  std::string out;
  std::size_t at = 0;
  while (at < pending_.size()) {
    const std::string_view rest = std::string_view(pending_).substr(at);
    const std::size_t valid = utf8::valid_prefix(rest);
    out += rest.substr(0, valid);
    at += valid;
    if (valid == rest.size()) break;
    const std::string_view bad = rest.substr(valid);
    if (bad.size() < 4 && may_continue(bad)) break;
    out += kReplacement;
    ++at;
  }
  pending_.erase(0, at);
  return out;
}

std::string Utf8Stream::finish() {
  std::string out;
  if (!pending_.empty()) out = kReplacement;  // one unfinished character
  pending_.clear();
  return out;
}

}  // namespace assay
