// The stages of a tokenizer on their own: regular expressions, UTF-8 streams, time that stays linear.
#include <algorithm>
#include <chrono>

#include "runtime/model/tokenizer/regex.h"
#include "runtime/model/tokenizer/trie.h"
#include "runtime/model/tokenizer/utf8.h"
#include "tests/model/tokenizer_support.h"

namespace assay::test {
namespace {

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  auto regex = Regex::compile(pattern);
  EXPECT_TRUE(regex) << (regex ? "" : regex.error().message());
  std::vector<std::string> found;
  Regex::Scratch scratch;
  if (!regex) return found;
  std::size_t at = 0;
  while (const auto match = regex->search(text, at, scratch)) {
    found.emplace_back(text.substr(match->begin, match->end - match->begin));
    at = match->end;
  }
  return found;
}

using Texts = std::vector<std::string>;

TEST(TokenizerRegex, ReadsPatternsAsTokenizerFilesMeanThem) {
  EXPECT_EQ(matches("\\s+", "a\u0085b\u2003c"), (Texts{"\u0085", "\u2003"})) << "White_Space, not PCRE2's own list";
  EXPECT_EQ(matches("\\s", "\u180e"), Texts{}) << "MONGOLIAN VOWEL SEPARATOR is no white space since Unicode 6.3";
  EXPECT_EQ(matches("\\w+", "e\u0301a-b"), (Texts{"e\u0301a", "b"})) << "marks belong to words";
  EXPECT_EQ(matches("[\\p{L}\\p{M}&&[^\\p{Han}]]+", "ab漢c"), (Texts{"ab", "c"}));
  EXPECT_EQ(matches("^a|b$", "a\nab\nb"), (Texts{"a", "a", "b", "b"})) << "^ and $ match at lines";
  EXPECT_EQ(matches("(?=b)|c", "abc"), Texts{"c"}) << "empty matches split nothing";
  EXPECT_EQ(matches("\\h+", "12fg"), Texts{"12f"}) << "\\h is a hexadecimal digit";
}

TEST(TokenizerRegex, RefusesSyntaxItWouldMisread) {
  for (const char* pattern : {"[a&&b]", "[a[b]]", "[^\\W]", "[a", "(", "a\\"}) EXPECT_FALSE(Regex::compile(pattern)) << pattern;
}

TEST(TokenizerRegex, APatternThatExplodesKeepsTheTextWhole) {
  const std::string text(200, 'a');
  EXPECT_EQ(matches("(a|aa)+$b|(?:a+)+c", text), Texts{});
}

TEST(Utf8, TakesWellFormedSequencesOnly) {
  EXPECT_EQ(utf8::sequence_length("a"), 1u);
  EXPECT_EQ(utf8::sequence_length("\xc3\xa9"), 2u);
  EXPECT_EQ(utf8::sequence_length("\xf0\x9f\xa6\x99"), 4u);
  for (const char* bad : {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"})
    EXPECT_EQ(utf8::sequence_length(bad), 0u);
  EXPECT_EQ(utf8::valid_prefix("abcdefghij\xc3\xa9\xff"), 12u);
}

TEST(Utf8Stream, ShowsWholeCharactersAsSoonAsTheyAreWhole) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xf0\x9f"), "a");
  EXPECT_EQ(stream.push("\xa6"), "");
  EXPECT_EQ(stream.push("\x99z"), "\xf0\x9f\xa6\x99z");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Utf8Stream, ReplacesBytesThatCanNoLongerBecomeACharacter) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("\xff" "a"), "\ufffd" "a");
  EXPECT_EQ(stream.push("\xe3\x81"), "");
  EXPECT_EQ(stream.push("b"), "\ufffd\ufffd" "b");
  EXPECT_EQ(stream.push("\xe0\x80"), "\ufffd\ufffd") << "overlong: nothing can follow";
  EXPECT_EQ(stream.push("\xc3"), "");
  EXPECT_EQ(stream.finish(), "\ufffd");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Trie, FindsTheLongestEntry) {
  const Trie trie({{"a", 1}, {"abc", 2}, {"abd", 3}, {"", 4}, {"a", 5}});
  EXPECT_EQ(trie.longest("abcx").value, 2);
  EXPECT_EQ(trie.longest("abx").value, 1);
  EXPECT_EQ(trie.longest("x").length, 0u);
  EXPECT_FALSE(trie.can_start('b'));
}

// Seconds that encoding takes, the best of three.
double seconds(const Tokenizer& tokenizer, const std::string& text) {
  double best = 1e9;
  for (int round = 0; round < 3; ++round) {
    const auto start = std::chrono::steady_clock::now();
    const Ids ids = tokenizer.encode(text);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    EXPECT_FALSE(ids.empty());
  }
  return best;
}

class LinearTime : public testing::TestWithParam<const char*> {};

TEST_P(LinearTime, EightTimesTheTextTakesFarLessThanSixtyFourTimesAsLong) {
  const auto path = fixture(GetParam());
  const auto file = std::filesystem::is_directory(path) ? Result<ModelFile>(ModelFile{}) : open_model(path);
  ASSERT_TRUE(file);
  const auto tokenizer = std::filesystem::is_directory(path) ? Tokenizer::open_folder(path) : Tokenizer::open(*file);
  ASSERT_TRUE(tokenizer);
  for (const std::string unit : {"a", " ", "the ", "7", "\n", "\xe6\xbc\xa2", "e\xcc\x81", "aB", "\xff"}) {
    std::string small, large;
    while (small.size() < 32768) small += unit;
    for (int i = 0; i < 8; ++i) large += small;
    // Quadratic work would take 64 times as long, n log n about 10; 32 leaves room for caches and a busy machine.
    EXPECT_LT(seconds(*tokenizer, large), 32 * seconds(*tokenizer, small) + 0.05) << quote_json(unit.size() == 1 && unit[0] < 0 ? "0xff" : unit);
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, LinearTime,
                         testing::Values("models/nano-frankenstein/gguf/nano-frankenstein-F16.gguf",
                                         "models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf", "tokenizers/spm-bpe.gguf",
                                         "tokenizers/llama-bpe-fallback", "tokenizers/unigram"));

}  // namespace
}  // namespace assay::test
