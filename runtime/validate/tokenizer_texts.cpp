// Single tokens and merges: what is said of them whichever file they come from.
#include <algorithm>

#include "runtime/model/chat/chat_template.h"
#include "runtime/validate/tokenizer_parts.h"

namespace assay::validation {

namespace {

constexpr std::size_t kLongestToken = 65535;

}  // namespace

void check_token_texts(Subject& subject, const std::vector<std::string_view>& texts, const Origin& origin) {
  std::size_t not_text = 0, first_not_text = 0;
  for (std::size_t id = 0; id < texts.size(); ++id) {
    if (texts[id].size() > kLongestToken &&
        !subject.remark({"tokenizer.token.too-long", Code::range, origin.tokens,
                         "token " + std::to_string(id) + " has " + std::to_string(texts[id].size()) +
                             " bytes; no model's tokens come near " + std::to_string(kLongestToken),
                         "the file is damaged or made to break readers: get the model from a source you trust",
                         std::nullopt, origin.file}))
      return;
    if (texts[id].size() > kLongestToken || is_utf8(texts[id])) continue;
    if (not_text++ == 0) first_not_text = id;
  }
  if (not_text > 0)
    subject.remark({"tokenizer.token.not-utf8", Code::malformed, origin.tokens,
                    std::to_string(not_text) + " tokens are not valid UTF-8, token " + std::to_string(first_not_text) +
                        " (\"" + printable(texts[first_not_text]) + "\") first",
                    "texts are UTF-8, so they can never be found: convert the model again", std::nullopt, origin.file});
  std::vector<std::size_t> order(texts.size());
  for (std::size_t id = 0; id < order.size(); ++id) order[id] = id;
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return texts[a] != texts[b] ? texts[a] < texts[b] : a < b; });
  std::size_t told = 0;
  for (std::size_t i = 1; i < order.size() && told < kTold; ++i) {
    const std::string_view text = texts[order[i]];
    if (text.empty() || text != texts[order[i - 1]]) continue;
    ++told;
    subject.remark({"tokenizer.token.duplicate", Code::duplicate, origin.tokens,
                    "tokens " + std::to_string(order[i - 1]) + " and " + std::to_string(order[i]) +
                        " have the same text \"" + printable(text) + "\"",
                    "a text can have one id only: convert the model again", std::nullopt, origin.file});
  }
}

std::optional<MergeTexts> split_merge(std::string_view line) {
  const std::size_t space = line.empty() ? std::string_view::npos : line.find(' ', 1);
  if (space == std::string_view::npos || space + 1 == line.size()) return std::nullopt;
  return MergeTexts{line.substr(0, space), line.substr(space + 1)};
}

void check_merge(Subject& subject, std::size_t number, std::optional<MergeTexts> merge,
                 const std::unordered_set<std::string_view>& tokens, const Origin& origin) {
  const std::string which = "merge " + std::to_string(number);
  if (!merge) {
    subject.remark({"tokenizer.merge.malformed", Code::malformed, origin.merges, which + " is not two texts",
                    kConvertAgain, std::nullopt, origin.file});
    return;
  }
  const std::string joined = std::string(merge->first).append(merge->second);
  for (const std::string_view text : {merge->first, merge->second, std::string_view(joined)}) {
    if (tokens.contains(text)) continue;
    subject.remark({"tokenizer.merge.absent", Code::malformed, origin.merges,
                    which + " names \"" + printable(text) + "\", which is no token",
                    "the tokenizer's parts do not belong together: convert the model again", std::nullopt,
                    origin.file});
    return;
  }
}

std::optional<std::string> template_problem(std::string_view text) {
  const auto parsed = ChatTemplate::parse(text);
  if (parsed || parsed.error().code == Code::unsupported) return std::nullopt;
  return parsed.error().detail;
}

}  // namespace assay::validation
