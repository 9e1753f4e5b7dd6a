// What the GGUF parser says about files made by hand.
#include "runtime/formats/gguf.h"

#include <gtest/gtest.h>

#include "tests/formats/files.h"

namespace assay {
namespace {

using test::raw;
using test::raw_text;

// A GGUF file put together field by field; `keys` and `tensors` are already encoded.
struct Parts {
  std::uint32_t version = 3;
  std::vector<std::string> keys{};
  std::vector<std::string> tensors{};
  std::string data{};

  std::string file() const {
    std::string out = "GGUF" + raw(version) + raw<std::uint64_t>(tensors.size()) + raw<std::uint64_t>(keys.size());
    for (const std::string& key : keys) out += key;
    for (const std::string& tensor : tensors) out += tensor;
    if (!data.empty()) out.resize((out.size() + 31) / 32 * 32, '\0');
    return out + data;
  }
};

std::string key_u32(std::string_view key, std::uint32_t value) {
  return raw_text(key) + raw<std::uint32_t>(4) + raw(value);
}

// `dims` in the file's order, fastest first.
std::string tensor(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                   std::uint64_t offset) {
  std::string out = raw_text(name) + raw<std::uint32_t>(static_cast<std::uint32_t>(dims.size()));
  for (const std::uint64_t size : dims) out += raw(size);
  return out + raw(type) + raw(offset);
}

std::vector<Finding> findings(const std::string& file) {
  AllFindings sink;
  (void)parse_gguf(test::bytes_of(file), "x.gguf", sink);
  return sink.findings();
}

std::vector<std::string> rules(const std::string& file) {
  std::vector<std::string> out;
  for (const Finding& finding : findings(file)) out.push_back(finding.rule);
  return out;
}

using Rules = std::vector<std::string>;

TEST(Gguf, ReadsShapesSlowestFirstAndDataInPlace) {
  const std::string file = Parts{.tensors = {tensor("a", {2, 3, 4, 5}, 0, 0)}, .data = test::pattern(480, 1)}.file();
  FirstError sink;
  const auto contents = parse_gguf(test::bytes_of(file), "x", sink);
  ASSERT_TRUE(contents) << sink.error()->message();
  ASSERT_EQ(contents->tensors.size(), 1u);
  const TensorView& view = contents->tensors[0];
  EXPECT_EQ(view.shape, (std::vector<std::uint64_t>{5, 4, 3, 2}));
  EXPECT_EQ(view.cols(), 2u);
  EXPECT_EQ(view.rows(), 60u);
  EXPECT_EQ(view.data.data(), test::bytes_of(file).data() + view.offset);
  EXPECT_EQ(test::text_of(view.data), test::pattern(480, 1));
}

TEST(Gguf, AcceptsAFileWithNothingInIt) {
  EXPECT_EQ(rules(Parts{}.file()), Rules{});
}

TEST(Gguf, KnowsEveryTypeNumberOfGgml) {
  for (const DtypeRow& type : kDtypes) {
    if (type.ggml_id == kNoGgmlId) continue;
    const std::string file =
        Parts{.tensors = {tensor("a", {type.block_values, 2}, static_cast<std::uint32_t>(type.ggml_id), 0)},
              .data = std::string(2 * type.block_bytes, 'x')}
            .file();
    AllFindings sink;
    const auto contents = parse_gguf(test::bytes_of(file), "x", sink);
    ASSERT_TRUE(contents) << type.name;
    EXPECT_TRUE(sink.findings().empty()) << type.name;
    EXPECT_EQ(contents->tensors[0].format, type.id);
    EXPECT_EQ(contents->tensors[0].data.size(), 2 * type.block_bytes);
  }
}

TEST(Gguf, NamesEveryRemovedType) {
  for (const std::uint32_t type : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u}) {
    const auto all = findings(Parts{.tensors = {tensor("a", {32}, type, 0)}, .data = std::string(64, 'x')}.file());
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].rule, "gguf.tensor.type-removed");
    EXPECT_NE(all[0].message.find(*removed_ggml_type(type)), std::string::npos) << all[0].message;
  }
}

TEST(Gguf, RejectsStringLongerThanFile) {
  const auto all = findings(Parts{.keys = {raw<std::uint64_t>(~0ull) + "general.architecture"}}.file());
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].rule, "gguf.string.past-end");
  EXPECT_EQ(all[0].offset, 24u);
  EXPECT_NE(all[0].message.find("18446744073709551615"), std::string::npos);
}

TEST(Gguf, NamesBigEndianFiles) {
  const auto all = findings("GGUF" + std::string("\0\0\0\2", 4) + std::string(16, '\0'));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].rule, "gguf.endianness");
  EXPECT_NE(all[0].message.find("big-endian"), std::string::npos);
}

TEST(Gguf, NamesAVersionOfTheFuture) {
  const auto all = findings(Parts{.version = 4}.file());
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].rule, "gguf.version");
  EXPECT_NE(all[0].message.find("version 4"), std::string::npos);
}

TEST(Gguf, GoesOnAfterDuplicateKeysAndNamesEachOnce) {
  const std::string file =
      Parts{.keys = {key_u32("b", 1), key_u32("a", 1), key_u32("b", 2), key_u32("c", 1), key_u32("c", 2)}}.file();
  EXPECT_EQ(rules(file), (Rules{"gguf.key.duplicate", "gguf.key.duplicate"}));
}

TEST(Gguf, LeavesOutWrongTensorsAndKeepsTheRest) {
  const std::string file = Parts{.tensors = {tensor("bad.type", {32}, 200, 0), tensor("good", {32}, 0, 128),
                                             tensor("bad.shape", {0}, 0, 256)},
                                 .data = std::string(256, 'x')}
                               .file();
  AllFindings sink;
  const auto contents = parse_gguf(test::bytes_of(file), "x", sink);
  ASSERT_TRUE(contents);
  ASSERT_EQ(contents->tensors.size(), 1u);
  EXPECT_EQ(contents->tensors[0].name, "good");
  EXPECT_EQ(sink.findings().size(), 2u);
}

TEST(Gguf, SaysHowManyBytesAreMissing) {
  const std::string file =
      Parts{.tensors = {tensor("a", {8}, 0, 0), tensor("b", {8}, 0, 32)}, .data = std::string(40, 'x')}.file();
  const auto all = findings(file);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].rule, "gguf.truncated");
  EXPECT_EQ(all[0].subject, "b");
  EXPECT_NE(all[0].message.find(": 24 are missing"), std::string::npos) << all[0].message;
  EXPECT_NE(all[0].advice.find("download it again"), std::string::npos);
}

TEST(Gguf, AcceptsALastTensorWithoutPadding) {
  EXPECT_EQ(rules(Parts{.tensors = {tensor("a", {3}, 0, 0)}, .data = std::string(12, 'x')}.file()), Rules{});
}

TEST(Gguf, WarnsOfDataInAnotherOrderThanTheTable) {
  const std::string file =
      Parts{.tensors = {tensor("a", {8}, 0, 32), tensor("b", {8}, 0, 0)}, .data = std::string(64, 'x')}.file();
  EXPECT_EQ(rules(file), Rules{"gguf.tensor.order"});
}

TEST(Gguf, FindsATensorInsideAnother) {
  const std::string file = Parts{.tensors = {tensor("a", {32}, 0, 0), tensor("b", {8}, 0, 32), tensor("c", {8}, 0, 64)},
                                 .data = std::string(128, 'x')}
                               .file();
  EXPECT_EQ(rules(file), (Rules{"gguf.tensor.overlap", "gguf.tensor.overlap"}));
}

TEST(Gguf, TakesNamesOf63BytesWarnsAt64RefusesMore) {
  const auto named = [](std::size_t length) {
    return rules(Parts{.tensors = {tensor(std::string(length, 'n'), {8}, 0, 0)}, .data = std::string(32, 'x')}.file());
  };
  EXPECT_EQ(named(63), Rules{});
  EXPECT_EQ(named(64), Rules{"gguf.tensor.name-64"});
  EXPECT_EQ(named(65), Rules{"gguf.tensor.name"});
  EXPECT_EQ(named(0), Rules{"gguf.tensor.name"});
}

TEST(Gguf, TakesAlignmentsFrom8AndWarnsBelow) {
  const auto aligned = [](std::uint32_t alignment) {
    return rules(Parts{.keys = {key_u32("general.alignment", alignment)}}.file());
  };
  EXPECT_EQ(aligned(8), Rules{});
  EXPECT_EQ(aligned(4), Rules{"gguf.alignment.small"});
  EXPECT_EQ(aligned(48), Rules{"gguf.alignment.value"});
  EXPECT_EQ(aligned(1u << 24), Rules{});
  EXPECT_EQ(aligned(1u << 25), Rules{"gguf.alignment.value"});
}

TEST(Gguf, RefusesNestedArraysWithoutFollowingThem) {
  const std::string nested =
      raw_text("a") + raw<std::uint32_t>(9) + raw<std::uint32_t>(9) + raw<std::uint64_t>(1) + std::string(64, '\0');
  EXPECT_EQ(rules(Parts{.keys = {nested}}.file()), Rules{"gguf.array.nested"});
}

TEST(Gguf, RefusesAKeyLongerThanAllowed) {
  EXPECT_EQ(rules(Parts{.keys = {key_u32(std::string(65535, 'k'), 1)}}.file()), Rules{});
  EXPECT_EQ(rules(Parts{.keys = {key_u32(std::string(65536, 'k'), 1)}}.file()), Rules{"gguf.key.too-long"});
}

TEST(Gguf, NotesKeysOutsideTheGrammar) {
  EXPECT_EQ(rules(Parts{.keys = {key_u32("General.Name", 1)}}.file()), Rules{"gguf.key.grammar"});
}

// A vocabulary of a modern model is walked, not built: the entry is one view of the file.
TEST(Gguf, KeepsAVocabularyOf128kStringsAsOneView) {
  std::string tokens;
  for (int i = 0; i < 128000; ++i) tokens += raw_text("token" + std::to_string(i));
  const std::string key = raw_text("tokenizer.ggml.tokens") + raw<std::uint32_t>(9) + raw<std::uint32_t>(8) +
                          raw<std::uint64_t>(128000) + tokens;
  const std::string file = Parts{.keys = {key}}.file();
  FirstError sink;
  const auto contents = parse_gguf(test::bytes_of(file), "x", sink);
  ASSERT_TRUE(contents) << sink.error()->message();
  const auto& array = std::get<MetaArray>(contents->metadata.find("tokenizer.ggml.tokens")->value);
  EXPECT_EQ(array.bytes.size(), tokens.size());
  const auto strings = contents->metadata.strings("tokenizer.ggml.tokens");
  ASSERT_TRUE(strings);
  EXPECT_EQ(strings->back(), "token127999");
}

}  // namespace
}  // namespace assay
