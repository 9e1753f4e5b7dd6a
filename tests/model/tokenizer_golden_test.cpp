// Tokenizers against the ids of independent implementations: goldens of the trained fixtures, SentencePiece, llama.cpp.
#include <cstdlib>
#include <random>
#include <sstream>

#include "tests/model/tokenizer_support.h"

namespace assay::test {
namespace {

struct Opened {
  ModelFile file;
  Tokenizer tokenizer;
};

Result<Opened> open_tokenizer(const std::filesystem::path& path) {
  ASSAY_TRY(ModelFile file, open_model(path));
  ASSAY_TRY(Tokenizer tokenizer, Tokenizer::open(file));
  return Opened{std::move(file), std::move(tokenizer)};
}

void expect_texts(const Tokenizer& tokenizer, const Json& items) {
  ASSERT_TRUE(items.array() && !items.array()->empty());
  for (const Json& item : *items.array()) {
    const std::string& text = *item.find("text")->string();
    const Ids ids = tokenizer.encode(text, kPlain);
    EXPECT_EQ(ids, ids_of(*item.find("ids"))) << quote_json(text);
    EXPECT_EQ(tokenizer.decode(ids), text);
  }
}

struct Trained {
  const char* model;
  const char* golden;
};
class TrainedTokenizer : public testing::TestWithParam<Trained> {};

TEST_P(TrainedTokenizer, GivesTheGoldenIdsAndTheTextBack) {
  const auto opened = open_tokenizer(fixture(GetParam().model));
  ASSERT_TRUE(opened) << opened.error().message();
  const Json golden = read_json(fixture(std::string("golden/") + GetParam().golden + "/tokenize.json"));
  expect_texts(opened->tokenizer, *golden.find("items"));
}

INSTANTIATE_TEST_SUITE_P(Fixtures, TrainedTokenizer,
                         testing::Values(Trained{"models/nano-frankenstein/gguf/nano-frankenstein-F16.gguf", "nano-frankenstein"},
                                         Trained{"models/nano-frankenstein/hf-sharded", "nano-frankenstein"},
                                         Trained{"models/nano-frankenstein/mlx-4bit", "nano-frankenstein"},
                                         Trained{"models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf", "tiny-frankenstein"}));

TEST(TokenizerGolden, TellsTheSpecialTokensOfTheTrainedModels) {
  const auto nano = open_tokenizer(fixture("models/nano-frankenstein/hf-sharded"));
  const auto tiny = open_tokenizer(fixture("models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf"));
  ASSERT_TRUE(nano && tiny);
  EXPECT_EQ(nano->tokenizer.bos(), 511);
  EXPECT_FALSE(nano->tokenizer.adds_bos());
  EXPECT_EQ(tiny->tokenizer.encode(""), Ids{2046});
  EXPECT_EQ(tiny->tokenizer.eos(), 2047);
  EXPECT_TRUE(tiny->tokenizer.is_end(2047));
  EXPECT_FALSE(tiny->tokenizer.is_end(2046));
  EXPECT_TRUE(tiny->tokenizer.is_control(2046));
  EXPECT_EQ(tiny->tokenizer.piece(2047), "");
  EXPECT_EQ(tiny->tokenizer.vocabulary_text(2047), "<|end_of_text|>");
  EXPECT_EQ(tiny->tokenizer.decode(Ids{2046, 39, 2047}, true), "<|begin_of_text|>H<|end_of_text|>");
}

TEST(TokenizerGolden, SentencePieceBpeWithByteFallbackMatchesSentencePiece) {
  const auto opened = open_tokenizer(fixture("tokenizers/spm-bpe.gguf"));
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(opened->tokenizer.kind(), "spm");
  const Json golden = read_json(fixture("tokenizers/spm-bpe.json"));
  for (const Json& item : *golden.array()) {
    const std::string& text = *item.find("text")->string();
    const Ids ids = opened->tokenizer.encode(text, kPlain);
    EXPECT_EQ(ids, ids_of(*item.find("ids"))) << quote_json(text);
    // U+2581 is how the vocabulary writes a space: it cannot come back.
    if (text.find("\xe2\x96\x81") != std::string::npos) continue;
    EXPECT_EQ(opened->tokenizer.decode(ids), text);
  }
}

TEST(TokenizerGolden, ByteFallbackBpeOfTokenizerJsonMatchesSentencePiece) {
  const auto tokenizer = Tokenizer::open_folder(fixture("tokenizers/llama-bpe-fallback"));
  ASSERT_TRUE(tokenizer) << tokenizer.error().message();
  const Json golden = read_json(fixture("tokenizers/spm-bpe.json"));
  for (const Json& item : *golden.array())
    EXPECT_EQ(tokenizer->encode(*item.find("text")->string(), kPlain), ids_of(*item.find("ids"))) << quote_json(*item.find("text")->string());
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_TRUE(tokenizer->is_end(2));
  EXPECT_TRUE(tokenizer->is_end(5)) << "eos_token_id of generation_config.json is a list";
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("Hello \xf0\x9f\xa6\x99")), "Hello \xf0\x9f\xa6\x99");
}

TEST(TokenizerGolden, UnigramMatchesSentencePieceFromBothFormats) {
  const auto json = Tokenizer::open_folder(fixture("tokenizers/unigram"));
  ASSERT_TRUE(json) << json.error().message();
  const auto gguf = open_tokenizer(fixture("tokenizers/unigram-t5.gguf"));
  ASSERT_TRUE(gguf) << gguf.error().message();
  EXPECT_EQ(json->kind(), "unigram");
  const Json golden = read_json(fixture("tokenizers/unigram.json"));
  for (const Json& item : *golden.array()) {
    const std::string& text = *item.find("text")->string();
    EXPECT_EQ(json->encode(text, kPlain), ids_of(*item.find("ids"))) << quote_json(text);
    EXPECT_EQ(gguf->tokenizer.encode(text, kPlain), ids_of(*item.find("ids"))) << quote_json(text);
  }
  EXPECT_EQ(json->encode("the").back(), 2) << "the post-processor ends a text with </s>";
  EXPECT_EQ(gguf->tokenizer.encode("the").back(), 2);
  EXPECT_EQ(json->decode(json->encode("the night of November")), "the night of November");
}

// Pairs as llama.cpp keeps them: texts with a marker line between, ids one line per text.
void expect_pairs(const std::filesystem::path& gguf) {
  const auto opened = open_tokenizer(gguf);
  ASSERT_TRUE(opened) << opened.error().message();
  const std::string texts = read_text(gguf.string() + ".inp");
  std::istringstream lines(read_text(gguf.string() + ".out"));
  constexpr std::string_view kMarker = "\n__ggml_vocab_test__\n";
  std::size_t at = 0, count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    ASSERT_LE(at, texts.size());
    const std::size_t end = std::min(texts.find(kMarker, at), texts.size());
    const std::string text = texts.substr(at, end - at);
    at = end + kMarker.size();
    std::istringstream numbers(line);
    Ids expected;
    for (TokenId id = 0; numbers >> id;) expected.push_back(id);
    EXPECT_EQ(opened->tokenizer.encode(text, kPlain), expected) << quote_json(text);
    EXPECT_EQ(opened->tokenizer.decode(expected), text);
  }
  EXPECT_GT(count, 40u);
}

class SharedVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(SharedVocabulary, GivesThePublishedIds) {
  ASSAY_SHARED_OR_SKIP(path, std::string("tokenizers/ggml-vocab-") + GetParam() + ".gguf");
  expect_pairs(path);
}

TEST_P(SharedVocabulary, TreatsSpecialTokensAsItsOracleUnderAllFourSettings) {
  ASSAY_SHARED_OR_SKIP(path, std::string("tokenizers/ggml-vocab-") + GetParam() + ".gguf");
  const auto opened = open_tokenizer(path);
  ASSERT_TRUE(opened);
  const Json document = read_json(path.parent_path() / "special.json");
  const Json* items = document.find("vocabularies")->find(GetParam());
  ASSERT_TRUE(items);
  for (const Json& item : *items->array())
    for (const bool add : {false, true})
      for (const bool parse : {false, true}) {
        const std::string key = "add_special=" + std::to_string(add) + ",parse_special=" + std::to_string(parse);
        const std::string& text = *item.find("text")->string();
        EXPECT_EQ(opened->tokenizer.encode(text, {add, parse}), ids_of(*item.find(key))) << key << " " << quote_json(text);
      }
}

INSTANTIATE_TEST_SUITE_P(SharedData, SharedVocabulary, testing::Values("llama-spm", "gpt-2", "phi-3", "starcoder", "qwen2"));

// Any folder of vocabularies with .inp and .out beside them.
TEST(TokenizerGolden, VocabulariesOfTheExtraFolderGiveTheirIds) {
  const char* folder = std::getenv("ASSAY_EXTRA_VOCABS");
  if (!folder) GTEST_SKIP() << "needs a folder of ggml-vocab-*.gguf with .inp and .out in $ASSAY_EXTRA_VOCABS";
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string path = entry.path().string();
    if (!path.ends_with(".gguf") || !std::filesystem::exists(path + ".out") || path.find("bert") != std::string::npos) continue;
    SCOPED_TRACE(path);
    expect_pairs(entry.path());
    ++count;
  }
  EXPECT_GT(count, 0) << folder;
}

class RoundTrip : public testing::TestWithParam<const char*> {};

TEST_P(RoundTrip, GivesBackRandomTextAndRandomBytes) {
  const auto opened = open_tokenizer(fixture(GetParam()));
  ASSERT_TRUE(opened);
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::string text;
    const bool is_bytes = round % 2 == 0;
    for (std::size_t size = random() % 300; text.size() < size;) {
      if (is_bytes) text.push_back(static_cast<char>(random() & 0xff));
      else text += std::vector<std::string>{"a", " ", "the", "\n", "\xc3\xa9", "\xe6\x97\xa5", "\xf0\x9f\xa6\x99", "7", "'s", "\t", "!"}[random() % 11];
    }
    const Ids ids = opened->tokenizer.encode(text, kPlain);
    EXPECT_EQ(opened->tokenizer.decode(ids), text) << "round " << round;
    TextStream stream(opened->tokenizer);
    std::string streamed;
    for (const TokenId id : ids) streamed += stream.push(id);
    EXPECT_EQ(streamed, text) << "round " << round;
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, RoundTrip,
                         testing::Values("models/nano-frankenstein/gguf/nano-frankenstein-F16.gguf", "models/nano-frankenstein/hf-sharded",
                                         "models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf", "tokenizers/spm-bpe.gguf"));

TEST(TokenizerGolden, PiecesOfAnAnswerContinueThePromptExactly) {
  const auto opened = open_tokenizer(fixture("tokenizers/spm-bpe.gguf"));
  ASSERT_TRUE(opened);
  const Tokenizer& tokenizer = opened->tokenizer;
  const Ids all = tokenizer.encode("It was on a dreary night of November");
  for (std::size_t prompt = 2; prompt < all.size(); ++prompt) {
    std::string text = tokenizer.decode(std::span(all).first(prompt));
    for (std::size_t i = prompt; i < all.size(); ++i) text += tokenizer.piece(all[i]);
    EXPECT_EQ(text, "It was on a dreary night of November");
  }
}

}  // namespace
}  // namespace assay::test
