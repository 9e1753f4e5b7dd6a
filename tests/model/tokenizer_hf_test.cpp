// Features of tokenizer.json one by one, on vocabularies of a few tokens written by hand.
#include "tests/model/tokenizer_support.h"

namespace assay::test {
namespace {

// A BPE over single characters and a few merges; `rest` adds members of the document, `model` of the model.
std::string bpe(const std::string& rest, const std::string& model = "") {
  return R"({"model":{"type":"BPE","unk_token":"<unk>",)" + model +
         R"("vocab":{"<unk>":0,"a":1,"b":2,"c":3,"ab":4,"abc":5," ":6,"▁":7,"▁a":8,"é":9,"e":10,"A":11,"1":12,"2":13,".":14,"d":15},)"
         R"("merges":["a b",["ab","c"],"▁ a"]})" + (rest.empty() ? "" : "," + rest) + "}";
}

Ids encode(const std::string& json, std::string_view text, EncodeOptions options = {}) {
  const auto tokenizer = open_json(json);
  EXPECT_TRUE(tokenizer) << (tokenizer ? "" : tokenizer.error().message());
  return tokenizer ? tokenizer->encode(text, options) : Ids();
}

std::string failure(const std::string& json) {
  const auto tokenizer = open_json(json);
  return tokenizer ? std::string() : tokenizer.error().message();
}

TEST(TokenizerJson, ReadsMergesAsTextsAndAsPairs) {
  EXPECT_EQ(encode(bpe(""), "abcab"), (Ids{5, 4}));
}

TEST(TokenizerJson, TakesAWholeWordOnlyWithIgnoreMerges) {
  const std::string vocab = R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"ba":3,"aba":4},"merges":["b a","a b"],"ignore_merges":)";
  EXPECT_EQ(encode(vocab + "false}}", "aba"), (Ids{0, 3}));
  EXPECT_EQ(encode(vocab + "true}}", "aba"), Ids{4});
}

TEST(TokenizerJson, UnknownCharactersBecomeUnknownFusedOrBytes) {
  EXPECT_EQ(encode(bpe(""), "axya"), (Ids{1, 0, 0, 1}));
  EXPECT_EQ(encode(bpe("", R"("fuse_unk":true,)"), "axya"), (Ids{1, 0, 1}));
  const std::string bytes = R"({"model":{"type":"BPE","byte_fallback":true,"vocab":{"a":0,"<0xC3>":1,"<0xA9>":2},"merges":[]},"decoder":{"type":"ByteFallback"}})";
  const auto tokenizer = open_json(bytes);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->encode("aé"), (Ids{0, 1, 2}));
  EXPECT_EQ(tokenizer->decode(Ids{0, 1, 2}), "aé");
}

TEST(TokenizerJson, NormalizesBeforeItTokenizes) {
  EXPECT_EQ(encode(bpe(R"("normalizer":{"type":"NFC"})"), "e\u0301"), Ids{9});
  EXPECT_EQ(encode(bpe(R"("normalizer":{"type":"NFKC"})"), "①"), Ids{12});
  EXPECT_EQ(encode(bpe(R"("normalizer":{"type":"Sequence","normalizers":[{"type":"NFD"},{"type":"StripAccents"}]})"), "é"), Ids{10});
  EXPECT_EQ(encode(bpe(R"("normalizer":{"type":"NFKD"})"), "ⓐ"), Ids{1});
  EXPECT_EQ(encode(bpe(R"("normalizer":{"type":"Lowercase"})"), "ABC"), Ids{5});
  EXPECT_EQ(encode(bpe(R"("normalizer":{"type":"Strip","strip_left":true,"strip_right":false})"), "  a "), (Ids{1, 6}));
  EXPECT_EQ(encode(bpe(R"("normalizer":{"type":"Replace","pattern":{"String":"xx"},"content":"b"})"), "axxc"), Ids{5});
  EXPECT_EQ(encode(bpe(R"("normalizer":{"type":"Replace","pattern":{"Regex":"[0-9]+"},"content":"b"})"), "a123c"), Ids{5});
  EXPECT_EQ(encode(bpe(R"("normalizer":{"type":"Prepend","prepend":"▁"})"), "a"), Ids{8});
}

TEST(TokenizerJson, SplitsByEveryBehaviour) {
  const auto split = [](const std::string& behaviour, const std::string& rest = "") {
    return bpe(R"("pre_tokenizer":{"type":"Split","pattern":{"String":"b"},"behavior":")" + behaviour + "\"" + rest + "}");
  };
  EXPECT_EQ(encode(split("Isolated"), "abc"), (Ids{1, 2, 3}));
  EXPECT_EQ(encode(split("Removed"), "abc"), (Ids{1, 3}));
  EXPECT_EQ(encode(split("MergedWithPrevious"), "abc"), (Ids{4, 3}));
  EXPECT_EQ(encode(split("MergedWithNext"), "abc"), (Ids{1, 2, 3}));
  EXPECT_EQ(encode(split("Contiguous"), "abbc"), (Ids{1, 2, 2, 3}));
  EXPECT_EQ(encode(split("Removed", R"(,"invert":true)"), "abc"), Ids{2});
}

TEST(TokenizerJson, HasTheUsualPreTokenizers) {
  const auto pre = [](const std::string& json) { return bpe(R"("pre_tokenizer":)" + json); };
  EXPECT_EQ(encode(pre(R"({"type":"Digits","individual_digits":true})"), "a12"), (Ids{1, 12, 13}));
  EXPECT_EQ(encode(pre(R"({"type":"Whitespace"})"), "ab c."), (Ids{4, 3, 14}));
  EXPECT_EQ(encode(pre(R"({"type":"WhitespaceSplit"})"), "ab  c."), (Ids{4, 3, 14}));
  EXPECT_EQ(encode(pre(R"({"type":"Punctuation"})"), "ab.c"), (Ids{4, 14, 3}));
  EXPECT_EQ(encode(pre(R"({"type":"CharDelimiterSplit","delimiter":"."})"), "ab.c"), (Ids{4, 3}));
  EXPECT_EQ(encode(pre(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always"})"), "a a"), (Ids{8, 8}));
  EXPECT_EQ(encode(pre(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never"})"), "a a"), (Ids{1, 8}));
  EXPECT_EQ(encode(pre(R"({"type":"Metaspace","replacement":"▁","add_prefix_space":false})"), "a a"), (Ids{1, 8}));
  EXPECT_EQ(encode(pre(R"({"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Digits","individual_digits":false}]})"), "ab 12c"),
            (Ids{4, 12, 13, 3}));
}

TEST(TokenizerJson, MetaspacePrependsFirstOnlyAtTheStartOfTheText) {
  const std::string json = bpe(R"("pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"},)"
                               R"("added_tokens":[{"id":16,"content":"<x>","special":true}])");
  EXPECT_EQ(encode(json, "a<x>a"), (Ids{8, 16, 1}));
  EXPECT_EQ(encode(json, "<x>a"), (Ids{16, 1}));
}

TEST(TokenizerJson, ByteLevelBeforeOtherStepsShowsThemTheByteCharacters) {
  // "\xc2\xb2" is SUPERSCRIPT TWO; as byte characters it reads "Â²", whose second character is a number of its own.
  std::string vocab;
  for (int byte = 0; byte < 256; ++byte) {
    std::string character;
    const bool itself = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    static int next = 0x100;
    const int code = itself ? byte : next++;
    if (code < 0x80) character = static_cast<char>(code);
    else character = {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
    vocab += (byte ? "," : "") + quote_json(character) + ":" + std::to_string(byte);
  }
  const std::string json = R"({"model":{"type":"BPE","vocab":{)" + vocab + R"(,"Â²":256},"merges":["Â ²"]},"decoder":{"type":"ByteLevel"},"pre_tokenizer":)";
  const std::string level = R"({"type":"ByteLevel","add_prefix_space":false})";
  EXPECT_EQ(encode(json + level + "}", "²"), Ids{256});
  EXPECT_EQ(encode(json + R"({"type":"Sequence","pretokenizers":[)" + level + R"(,{"type":"Digits","individual_digits":true}]}})", "²"), (Ids{0xc2, 0xb2}));
  EXPECT_EQ(encode(json + R"({"type":"ByteLevel","add_prefix_space":true}})", "a"), (Ids{' ', 'a'}));
  const auto tokenizer = open_json(json + level + "}");
  ASSERT_TRUE(tokenizer);
  const std::string bytes("\xff\x00 a\xc3", 5);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(bytes)), bytes);
}

TEST(TokenizerJson, AddedTokensStripMatchWordsAndObeyTheSettings) {
  const auto added = [](const std::string& fields) { return bpe(R"("added_tokens":[{"id":16,"content":"<x>",)" + fields + "}]"); };
  EXPECT_EQ(encode(added(R"("special":true)"), "a<x>a"), (Ids{1, 16, 1}));
  EXPECT_EQ(encode(added(R"("special":true)"), "a<x>a", kPlain), (Ids{1, 0, 0, 0, 1})) << "read as plain text";
  EXPECT_EQ(encode(added(R"("special":false)"), "a<x>a", kPlain), (Ids{1, 16, 1})) << "not special: always a token";
  EXPECT_EQ(encode(added(R"("special":true,"lstrip":true)"), "a  <x> a"), (Ids{1, 16, 6, 1}));
  EXPECT_EQ(encode(added(R"("special":true,"rstrip":true)"), "a <x>  a"), (Ids{1, 6, 16, 1}));
  const std::string word = bpe(R"("added_tokens":[{"id":15,"content":"d","single_word":true,"special":true}])");
  EXPECT_EQ(encode(word, "a d"), (Ids{1, 6, 15}));
  const auto tokenizer = open_json(word);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->decode(Ids{15, 1}), "a") << "a special token gives no text";
  EXPECT_EQ(tokenizer->decode(Ids{15, 1}, true), "da");
}

TEST(TokenizerJson, TheLongestOfTheLeftmostAddedTokensWins) {
  const std::string json = bpe(R"("added_tokens":[{"id":16,"content":"<x>","special":true},{"id":17,"content":"<x>y","special":true}])");
  EXPECT_EQ(encode(json, "<x>y<x>a"), (Ids{17, 16, 1}));
}

TEST(TokenizerJson, NormalizedAddedTokensAreFoundAfterNormalisation) {
  const auto json = [](const std::string& normalized) {
    return bpe(R"("normalizer":{"type":"Lowercase"},"added_tokens":[{"id":16,"content":"dd","normalized":)" + normalized + "}]");
  };
  EXPECT_EQ(encode(json("true"), "aDDa"), (Ids{1, 16, 1}));
  EXPECT_EQ(encode(json("false"), "aDDa"), (Ids{1, 15, 15, 1}));
}

TEST(TokenizerJson, PostProcessorsPutTheirTokensAround) {
  const std::string pair = R"("post_processor":{"type":"BertProcessing","sep":["c",3],"cls":["b",2]})";
  EXPECT_EQ(encode(bpe(pair), "a"), (Ids{2, 1, 3}));
  EXPECT_EQ(encode(bpe(pair), "a", kPlain), Ids{1});
  const std::string sequence = R"("post_processor":{"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing",)"
                               R"("single":[{"SpecialToken":{"id":"b"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"c"}}],)"
                               R"("special_tokens":{"b":{"ids":[2]},"c":{"ids":[3]}}}]})";
  EXPECT_EQ(encode(bpe(sequence), "a"), (Ids{2, 1, 3}));
}

TEST(TokenizerJson, LlamaClassesFollowTheirFlagsAndOthersTheirTemplate) {
  const auto with = [](const std::string& config) {
    const auto tokenizer = open_json(bpe(""), config);
    EXPECT_TRUE(tokenizer);
    return tokenizer->encode("a");
  };
  EXPECT_EQ(with(R"({"tokenizer_class":"LlamaTokenizerFast","bos_token":"b","add_bos_token":true})"), (Ids{2, 1}));
  EXPECT_EQ(with(R"({"tokenizer_class":"PreTrainedTokenizerFast","bos_token":"b","add_bos_token":true})"), Ids{1});
}

TEST(TokenizerJson, DecodersStripReplaceAndFuse) {
  const auto tokenizer = open_json(bpe(R"("decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},)"
                                       R"({"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})"));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->decode(Ids{8, 8, 7, 7}), "a a  ");
  EXPECT_EQ(tokenizer->piece(8), " a");
}

TEST(TokenizerJson, RefusesByNameWhatItDoesNotHave) {
  EXPECT_NE(failure(R"({"model":{"type":"WordPiece","vocab":{}}})").find("model.vocab: is empty"), std::string::npos);
  EXPECT_NE(failure(R"({"model":{"type":"WordPiece","vocab":{"a":0}}})").find("'WordPiece'"), std::string::npos);
  EXPECT_NE(failure(bpe(R"("normalizer":{"type":"BertNormalizer"})")).find("'BertNormalizer'"), std::string::npos);
  EXPECT_NE(failure(bpe(R"("pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"UnicodeScripts"}]})")).find("pre_tokenizer.pretokenizers[0]: is of type 'UnicodeScripts'"),
            std::string::npos);
  EXPECT_NE(failure(bpe(R"("decoder":{"type":"CTC"})")).find("'CTC'"), std::string::npos);
  EXPECT_NE(failure(bpe("", R"("end_of_word_suffix":"</w>",)")).find("end_of_word_suffix"), std::string::npos);
}

TEST(TokenizerJson, ExplainsWhatIsWrong) {
  EXPECT_NE(failure(R"({"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}})").find("merge 0 names 'ab'"), std::string::npos);
  EXPECT_NE(failure(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["x a"]}})").find("'x'"), std::string::npos);
  EXPECT_NE(failure(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a"]}})").find("entry 0 is not two texts"), std::string::npos);
  EXPECT_NE(failure(R"({"model":{"type":"BPE","vocab":{"a":0}}})").find("model.merges: is absent"), std::string::npos);
  EXPECT_NE(failure(R"({"model":{"type":"BPE","vocab":{"a":4000000000},"merges":[]}})").find("4000000000"), std::string::npos);
  EXPECT_NE(failure(R"({"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}})").find("the id -1"), std::string::npos);
  EXPECT_NE(failure(R"({"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}})").find("the id 0"), std::string::npos);
  EXPECT_NE(failure(R"({"model":{"type":"BPE","vocab":{"a":"0"},"merges":[]}})").find("whole number"), std::string::npos);
  EXPECT_NE(failure(R"({"model":{"type":"Unigram","unk_id":7,"vocab":[["a",-1.0]]}})").find("model.unk_id"), std::string::npos);
  EXPECT_NE(failure(R"({"model":{"type":"Unigram","vocab":[["a",-1.0]]}})").find("unknown token"), std::string::npos);
  EXPECT_NE(failure(bpe(R"("pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"})")).find("does not compile"), std::string::npos);
  EXPECT_NE(failure(bpe(R"("post_processor":{"type":"BertProcessing","sep":["x",99],"cls":["b",2]})")).find("beyond the vocabulary"), std::string::npos);
  EXPECT_NE(failure(bpe(R"("normalizer":{"type":"Precompiled","precompiled_charsmap":"AAAAAQ=="})")).find("charsmap"), std::string::npos);
  EXPECT_NE(failure("{").find("tokenizer.json"), std::string::npos);
  const TemporaryFolder empty;
  EXPECT_NE(Tokenizer::open_folder(empty.path()).error().message().find("--ids"), std::string::npos);
}

}  // namespace
}  // namespace assay::test
