// Tokenizers from GGUF metadata: what the keys mean, and what broken ones are told.
#include "tests/model/tokenizer_support.h"

namespace assay::test {
namespace {

constexpr int kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kByte = 6;

// "llama": unknown, BOS, EOS, all byte tokens, then a few texts with their scores.
MetadataMaker spm(const std::vector<std::pair<std::string, float>>& texts, bool with_bytes = true) {
  std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types{kUnknown, kControl, kControl};
  std::vector<float> scores(3, 0.0f);
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (int byte = 0; with_bytes && byte < 256; ++byte) {
    tokens.push_back(std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">");
    types.push_back(kByte);
    scores.push_back(0.0f);
  }
  for (const auto& [text, score] : texts) {
    tokens.push_back(text);
    types.push_back(kNormal);
    scores.push_back(score);
  }
  MetadataMaker maker;
  maker.text("tokenizer.ggml.model", "llama").texts("tokenizer.ggml.tokens", tokens).floats("tokenizer.ggml.scores", scores);
  maker.integers("tokenizer.ggml.token_type", types);
  return maker;
}

// "gpt2" over ASCII and the bytes of other characters, ids in order of the bytes; then `extra`.
std::vector<std::string> byte_tokens() {
  std::vector<std::string> tokens;
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool itself = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    const int code = itself ? byte : next++;
    if (code < 0x80) tokens.emplace_back(1, static_cast<char>(code));
    else tokens.push_back({static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 63))});
  }
  return tokens;
}
MetadataMaker gpt2(const std::vector<std::string>& extra, const std::vector<std::string>& merges, const std::string& pre = "gpt-2") {
  std::vector<std::string> tokens = byte_tokens();
  tokens.insert(tokens.end(), extra.begin(), extra.end());
  MetadataMaker maker;
  maker.text("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", tokens).texts("tokenizer.ggml.merges", merges);
  if (!pre.empty()) maker.text("tokenizer.ggml.pre", pre);
  return maker;
}

TEST(GgufTokenizer, SpmMergesTheBestScoreFirstAndFallsBackToBytes) {
  const auto maker = spm({{"▁", -1}, {"a", -2}, {"b", -3}, {"ab", -5}, {"ba", -4}, {"▁a", -6}});
  const auto tokenizer = maker.open();
  ASSERT_TRUE(tokenizer) << tokenizer.error().message();
  EXPECT_EQ(tokenizer->encode("aba"), (Ids{1, 264, 263})) << "ba (-4) goes before ab (-5), then the space joins the a";
  EXPECT_EQ(tokenizer->encode("\xc3\xa9", kPlain), (Ids{259, 3 + 0xc3, 3 + 0xa9}));
  EXPECT_EQ(tokenizer->encode("", kPlain), Ids{});
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->piece(264), " a");
  EXPECT_EQ(tokenizer->decode(Ids{1, 264, 263}), "aba");
}

TEST(GgufTokenizer, AddSpacePrefixFalseLeavesTheTextAsItIs) {
  auto maker = spm({{"▁", -1}, {"a", -2}, {"▁a", -6}});
  maker.flag("tokenizer.ggml.add_space_prefix", false).flag("tokenizer.ggml.add_bos_token", false);
  const auto tokenizer = maker.open();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->encode("a a"), (Ids{260, 261}));
  EXPECT_EQ(tokenizer->decode(Ids{261, 260}), " aa");
}

TEST(GgufTokenizer, EveryTextAfterASpecialTokenGetsASpace) {
  const auto maker = spm({{"▁", -1}, {"a", -2}, {"▁a", -6}});
  const auto tokenizer = maker.open();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->encode("a</s>a", {false, true}), (Ids{261, 2, 261}));
}

TEST(GgufTokenizer, UserDefinedTokensAreFoundWithoutParsingSpecialOnes) {
  auto maker = gpt2({"<x>", "<c>"}, {});
  std::vector<std::int32_t> types(258, kNormal);
  types[256] = kUserDefined;
  types[257] = kControl;
  maker.integers("tokenizer.ggml.token_type", types);
  const auto tokenizer = maker.open();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->encode("<x><c>", kPlain), (Ids{256, '<', 'c', '>'}));
  EXPECT_EQ(tokenizer->encode("<x><c>", {false, true}), (Ids{256, 257}));
  EXPECT_EQ(tokenizer->piece(256), "<x>");
  EXPECT_EQ(tokenizer->piece(257), "");
}

TEST(GgufTokenizer, BpeFollowsRanksFromLeftToRight) {
  const auto maker = gpt2({"aa", "aaa"}, {"a a", "aa a"});
  const auto tokenizer = maker.open();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->encode("aaaaa"), (Ids{256, 257}));
  EXPECT_EQ(tokenizer->encode("aaa aa"), (Ids{257, ' ', 256}));
}

TEST(GgufTokenizer, LongAndShortWordsAreMergedAlike) {
  const auto maker = gpt2({"aa", "aaaa", "aab"}, {"a a", "aa aa", "aa b"});
  const auto tokenizer = maker.open();
  ASSERT_TRUE(tokenizer);
  // 12 letters go through the scan, 12 * 40 through the heap; the words are the same, a 'b' ends each.
  const std::string word = "aaaaaaaaaaab";
  const Ids one = tokenizer->encode(word);
  std::string many;
  Ids expected;
  for (int i = 0; i < 40; ++i) {
    many += word;
    expected.insert(expected.end(), one.begin(), one.end());
  }
  EXPECT_EQ(tokenizer->encode(many), expected);
}

TEST(GgufTokenizer, PreTokenizersDifferInDigitsAndContractions) {
  const auto digits = [](const std::string& pre) {
    auto maker = gpt2({"12", "123"}, {"1 2", "12 3"}, pre);
    maker.flag("tokenizer.ggml.add_bos_token", false);
    const auto tokenizer = maker.open();
    EXPECT_TRUE(tokenizer) << pre;
    return tokenizer ? tokenizer->encode("123123") : Ids();
  };
  EXPECT_EQ(digits("gpt-2"), (Ids{257, 257}));
  EXPECT_EQ(digits("llama-bpe"), (Ids{257, 257}));
  EXPECT_EQ(digits("qwen2"), (Ids{'1', '2', '3', '1', '2', '3'}));
  EXPECT_EQ(digits("starcoder"), (Ids{'1', '2', '3', '1', '2', '3'}));
}

TEST(GgufTokenizer, GroupsDigitsInThreesFromTheRight) {
  const auto maker = gpt2({"12", "123", "34", "234"}, {"1 2", "12 3", "3 4", "2 34"}, "superbpe");
  const auto tokenizer = maker.open();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->encode("1234"), (Ids{'1', 259}));
}

TEST(GgufTokenizer, AnUnknownPreTokenizerIsRefusedByName) {
  const std::string message = gpt2({}, {}, "no-such-pre").failure();
  EXPECT_NE(message.find("'no-such-pre'"), std::string::npos) << message;
  EXPECT_NE(message.find("llama-bpe"), std::string::npos) << "the known ones are listed";
}

TEST(GgufTokenizer, AMissingPreTokenizerIsDefaultAndSaysSo) {
  const auto maker = gpt2({}, {}, "");
  const auto tokenizer = maker.open();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->pre_tokenizer(), "");
}

TEST(GgufTokenizer, EveryNamedPreTokenizerCompilesAndKeepsTheText) {
  const std::string text = "It's 12345 o'clock — 日本語, naïve e\xcc\x81\r\n\n  \t été <sentinel:7> IMGIMGABZ 1,234.5 ｆｕｌｌ ٣٤ 한국어 ไทย\xff end  ";
  std::string known = gpt2({}, {}, "?").failure();
  known = known.substr(known.find("one of: ") + 8);
  int count = 0;
  for (std::size_t at = 0; at < known.size(); ++count) {
    const std::string name = known.substr(at, known.find(", ", at) - at);
    at += name.size() + 2;
    if (name == "gemma4" || name == "sarvam-moe" || name == "granite-embed-multi-311m") continue;  // not a byte alphabet
    auto maker = gpt2({}, {}, name);
    maker.flag("tokenizer.ggml.add_bos_token", false);
    const auto tokenizer = maker.open();
    ASSERT_TRUE(tokenizer) << name << ": " << tokenizer.error().message();
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << name;
  }
  EXPECT_GT(count, 70);
}

TEST(GgufTokenizer, RawCharacterVocabulariesUseTheSpaceSignAndByteTokens) {
  MetadataMaker maker;
  maker.text("tokenizer.ggml.model", "gemma4").texts("tokenizer.ggml.tokens", {"<unk>", "<bos>", "a", "▁", "▁a", "\n", "\n\n", "<0xC3>", "<0xA9>"});
  maker.texts("tokenizer.ggml.merges", {"▁ a"}).integers("tokenizer.ggml.token_type", {kUnknown, kControl, 1, 1, 1, 1, 1, kByte, kByte});
  maker.number("tokenizer.ggml.bos_token_id", 1).number("tokenizer.ggml.unknown_token_id", 0);
  const auto tokenizer = maker.open();
  ASSERT_TRUE(tokenizer) << tokenizer.error().message();
  EXPECT_EQ(tokenizer->encode("a a\n\né"), (Ids{1, 2, 4, 6, 7, 8}));
  EXPECT_EQ(tokenizer->decode(Ids{1, 2, 4, 6, 7, 8}), "a a\n\né");
}

TEST(GgufTokenizer, KnowsEndsByKeyAndByText) {
  auto maker = gpt2({"<|im_end|>", "x1", "<|eot_id|>"}, {});
  maker.number("tokenizer.ggml.eos_token_id", 257);
  const auto tokenizer = maker.open();
  ASSERT_TRUE(tokenizer);
  EXPECT_TRUE(tokenizer->is_end(256));
  EXPECT_TRUE(tokenizer->is_end(257));
  EXPECT_TRUE(tokenizer->is_end(258));
  EXPECT_FALSE(tokenizer->is_end('a'));
  EXPECT_FALSE(tokenizer->is_end(-1));
  EXPECT_EQ(tokenizer->piece(-1), "");
  EXPECT_EQ(tokenizer->piece(1 << 30), "");
}

TEST(GgufTokenizer, RefusesWhatHasNoTokenizerWithAdvice) {
  for (const char* model : {"none", "no_vocab"}) {
    MetadataMaker maker;
    maker.text("tokenizer.ggml.model", model);
    const auto tokenizer = maker.open();
    ASSERT_FALSE(tokenizer);
    EXPECT_EQ(tokenizer.error().code, Code::missing);
    EXPECT_NE(tokenizer.error().message().find("--ids"), std::string::npos);
  }
  EXPECT_NE(MetadataMaker().failure().find("tokenizer.ggml.model"), std::string::npos);
  MetadataMaker bert;
  bert.text("tokenizer.ggml.model", "bert");
  EXPECT_EQ(bert.open().error().code, Code::unsupported);
  EXPECT_NE(bert.failure().find("'bert'"), std::string::npos);
}

void expect_says(const MetadataMaker& maker, std::string_view words) {
  const std::string message = maker.failure();
  EXPECT_NE(message.find(words), std::string::npos) << message;
}

TEST(GgufTokenizer, ExplainsBrokenVocabularies) {
  MetadataMaker tokens;
  expect_says(tokens.text("tokenizer.ggml.model", "llama"), "tokenizer.ggml.tokens");
  MetadataMaker scores;
  expect_says(scores.text("tokenizer.ggml.model", "llama").texts("tokenizer.ggml.tokens", {"a"}), "tokenizer.ggml.scores");
  MetadataMaker few;
  expect_says(few.text("tokenizer.ggml.model", "llama").texts("tokenizer.ggml.tokens", {"a", "b"}).floats("tokenizer.ggml.scores", {0}), "1 values for 2 tokens");
  MetadataMaker types;
  expect_says(types.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "gpt-2").texts("tokenizer.ggml.tokens", byte_tokens()).integers("tokenizer.ggml.token_type", {1}),
              "tokenizer.ggml.token_type");
  MetadataMaker empty;
  expect_says(empty.text("tokenizer.ggml.model", "llama").texts("tokenizer.ggml.tokens", {}), "is empty");
  expect_says(gpt2({"a"}, {}), "same text as token 97");
  MetadataMaker bytes;
  expect_says(bytes.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "gpt-2").texts("tokenizer.ggml.tokens", {"a", "b"}).texts("tokenizer.ggml.merges", {}),
              "has no token");
  MetadataMaker no_fallback;
  expect_says(no_fallback.text("tokenizer.ggml.model", "t5").texts("tokenizer.ggml.tokens", {"a"}).floats("tokenizer.ggml.scores", {0}).flag("tokenizer.ggml.add_eos_token", false),
              "neither an unknown token");
}

TEST(GgufTokenizer, ExplainsBrokenMergesAndSpecialIds) {
  expect_says(gpt2({}, {"a b"}), "merge 0 names 'ab'");
  expect_says(gpt2({}, {"zz b"}), "'zz'");
  expect_says(gpt2({}, {"ab"}), "entry 0 is not two texts");
  MetadataMaker absent;
  expect_says(absent.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "gpt-2").texts("tokenizer.ggml.tokens", byte_tokens()), "tokenizer.ggml.merges");
  expect_says(gpt2({}, {}).number("tokenizer.ggml.bos_token_id", 256), "tokenizer.ggml.bos_token_id: is 256, but the vocabulary ends at 256");
  expect_says(gpt2({}, {}).number("tokenizer.ggml.eot_token_id", 999), "tokenizer.ggml.eot_token_id");
  expect_says(gpt2({}, {}).flag("tokenizer.ggml.add_bos_token", true), "tokenizer.ggml.bos_token_id: is absent");
  expect_says(gpt2({}, {}).text("tokenizer.ggml.eos_token_id", "x"), "tokenizer.ggml.eos_token_id");
}

TEST(GgufTokenizer, ByteTokenNamesAreReadStrictly) {
  const auto maker = spm({{"<0x-1>", -1}, {"<0xZZ>", -1}, {"<0x1>", -1}});
  const auto tokenizer = maker.open();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->piece(259), "<0x-1>");
}

}  // namespace
}  // namespace assay::test
