// What the safetensors parser says about files made by hand.
#include "runtime/formats/safetensors.h"

#include <gtest/gtest.h>

#include "tests/formats/files.h"

namespace assay {
namespace {

using Rules = std::vector<std::string>;

Rules rules(std::string_view header, std::size_t data_bytes) {
  AllFindings sink;
  (void)parse_safetensors(test::bytes_of(test::safetensors_file(header, data_bytes)), "x", sink);
  Rules out;
  for (const Finding& finding : sink.findings()) out.push_back(finding.rule);
  return out;
}

std::string entry(std::string_view name, std::string_view dtype, std::string_view shape, std::uint64_t begin,
                  std::uint64_t end) {
  return "\"" + std::string(name) + "\":{\"dtype\":\"" + std::string(dtype) + "\",\"shape\":" + std::string(shape) +
         ",\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
}

TEST(Safetensors, KnowsEveryDtypeOfTheFormat) {
  for (const DtypeRow& type : kDtypes) {
    if (type.safetensors_name.empty()) continue;
    const std::string file =
        test::safetensors_file("{" +
                                   entry("a", type.safetensors_name, "[3," + std::to_string(type.block_values) + "]", 0,
                                         3 * type.block_bytes) +
                                   "}",
                               3 * type.block_bytes);
    FirstError sink;
    const auto contents = parse_safetensors(test::bytes_of(file), "x", sink);
    ASSERT_TRUE(contents) << type.name << ": " << sink.error()->message();
    EXPECT_EQ(contents->tensors[0].format, type.id);
    EXPECT_EQ(contents->tensors[0].shape, (std::vector<std::uint64_t>{3, type.block_values}));
  }
}

TEST(Safetensors, TakesDataAtOddAddresses) {
  const std::string file =
      test::safetensors_file("{" + entry("a", "U8", "[1]", 0, 1) + "," + entry("b", "F64", "[2]", 1, 17) + "}", 17);
  FirstError sink;
  const auto contents = parse_safetensors(test::bytes_of(file), "x", sink);
  ASSERT_TRUE(contents) << sink.error()->message();
  EXPECT_EQ(test::text_of(contents->tensors[1].data),
            test::text_of(test::bytes_of(file)).substr(contents->tensors[1].offset, 16));
}

TEST(Safetensors, KeepsAnnotations) {
  const std::string file = test::safetensors_file(R"({"__metadata__":{"format":"pt"}})", 0);
  FirstError sink;
  const auto contents = parse_safetensors(test::bytes_of(file), "x", sink);
  ASSERT_TRUE(contents);
  EXPECT_EQ(*contents->annotations.find("format")->string(), "pt");
}

TEST(Safetensors, FindsDuplicateNamesEvenWithEqualEntries) {
  EXPECT_EQ(rules("{" + entry("a", "U8", "[0]", 0, 0) + "," + entry("a", "U8", "[0]", 0, 0) + "}", 0),
            Rules{"safetensors.duplicate"});
}

TEST(Safetensors, FindsDuplicateFieldsInAnEntry) {
  EXPECT_EQ(rules(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1),
            Rules{"safetensors.field-duplicate"});
}

TEST(Safetensors, RefusesNumbersThatAreNotWhole) {
  EXPECT_EQ(rules(R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1), Rules{"safetensors.shape-type"});
  EXPECT_EQ(rules(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1.0]}})", 1), Rules{"safetensors.offset-type"});
  EXPECT_EQ(rules(R"({"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1]}})", 1),
            Rules{"safetensors.shape-type"});
}

TEST(Safetensors, DoesNotReportAHoleWhereAWrongEntryMayLie) {
  EXPECT_EQ(rules("{" + entry("a", "F128", "[1]", 0, 16) + "," + entry("b", "U8", "[1]", 16, 17) + "}", 17),
            Rules{"safetensors.dtype"});
}

TEST(Safetensors, SaysHowManyBytesAreMissing) {
  AllFindings sink;
  const std::string file = test::safetensors_file("{" + entry("a", "U8", "[100]", 0, 100) + "}", 60);
  (void)parse_safetensors(test::bytes_of(file), "x", sink);
  ASSERT_EQ(sink.findings().size(), 1u);
  EXPECT_EQ(sink.findings()[0].rule, "safetensors.truncated");
  EXPECT_NE(sink.findings()[0].message.find("40 bytes are missing"), std::string::npos);
}

TEST(Safetensors, RefusesBytesAfterTheHeaderObject) {
  EXPECT_EQ(rules(std::string("{}\0\0", 4), 0), Rules{"safetensors.header.json"});
}

TEST(Safetensors, TakesOffsetsNearTheEndOfSixtyFourBits) {
  const std::string huge =
      R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[18446744073709551615,18446744073709551615]}})";
  EXPECT_EQ(rules(huge, 0), (Rules{"safetensors.hole", "safetensors.truncated"}));
}

// 20000 wrong entries are all reported, up to the sink's limit, without searching the header for each.
TEST(Safetensors, StaysFastWithManyWrongEntries) {
  std::string header = "{";
  for (int i = 0; i < 20000; ++i) header += (i == 0 ? "" : ",") + entry("t" + std::to_string(i), "F128", "[1]", 0, 1);
  EXPECT_EQ(rules(header + "}", 0).size(), 10000u);
}

}  // namespace
}  // namespace assay
