// The JSON tree: what is accepted, what is refused and where, and that text survives the way there and back.
#include "runtime/core/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace assay {
namespace {

Json parsed(std::string_view text) {
  auto json = parse_json(text);
  EXPECT_TRUE(json) << text << ": " << (json ? "" : json.error().message());
  return json ? std::move(*json) : Json();
}

TEST(Json, KeepsIntegersOf64BitsExactly) {
  const Json json = parsed("[9223372036854775807, -9223372036854775808, 18446744073709551615, 9007199254740993]");
  EXPECT_EQ((*json.array())[0].integer(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ((*json.array())[1].integer(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ((*json.array())[2].unsigned_integer(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_FALSE((*json.array())[2].integer());
  EXPECT_EQ((*json.array())[3].integer(), 9007199254740993);  // no double holds this one
  EXPECT_EQ(to_text(json), "[9223372036854775807,-9223372036854775808,18446744073709551615,9007199254740993]");
}

TEST(Json, KeepsKeyOrderAndDuplicateKeys) {
  const Json json = parsed(R"({"b": 1, "a": 2, "b": 3})");
  ASSERT_EQ(json.object()->size(), 3u);
  EXPECT_EQ((*json.object())[0].first, "b");
  EXPECT_EQ(json.find("b")->integer(), 3);  // the last one counts
  EXPECT_EQ(json.find("c"), nullptr);
  EXPECT_EQ(parsed("[1]").find("a"), nullptr);
}

TEST(Json, AccessorsAnswerForTheirKindOnly) {
  EXPECT_FALSE(parsed("1.5").integer());
  EXPECT_EQ(parsed("1.5").number(), 1.5);
  EXPECT_EQ(parsed("2").number(), 2.0);
  EXPECT_FALSE(parsed("-1").unsigned_integer());
  EXPECT_FALSE(parsed("\"1\"").number());
  EXPECT_FALSE(parsed("1").boolean());
  EXPECT_EQ(parsed("true").boolean(), true);
  EXPECT_TRUE(parsed("null").is_null());
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text : {"", " ", "{", "[1,]", "{\"a\":1,}", "{'a':1}", "// x\n1", "1 2", "[1] x", "\"\t\"", "\"\\x\"", "\"\xff\"", "\"\\ud800\"", "01", "+1", "NaN", "tru"})
    EXPECT_FALSE(parse_json(text)) << text;
}

TEST(Json, ErrorTellsTheByte) {
  const auto json = parse_json("{\"a\": tru}");
  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().code, Code::malformed);
  ASSERT_TRUE(json.error().offset);
  EXPECT_GE(*json.error().offset, 6u);
  EXPECT_LE(*json.error().offset, 9u);
}

TEST(Json, DepthIsLimited) {
  const std::string deep(65, '['), shallow(64, '[');
  EXPECT_FALSE(parse_json(deep + std::string(65, ']')));
  EXPECT_TRUE(parse_json(shallow + std::string(64, ']')));
  EXPECT_FALSE(parse_json(std::string(1'000'000, '[')));
}

TEST(Json, TextComesBackAsItWas) {
  const std::string hostile = std::string("quote\" back\\ </script> \u2028 \u2029 tab\t nul") + '\0' + "\x1f \x7f \u00e9 \U0001f600";
  const std::string text = to_text(Json(hostile));
  EXPECT_EQ(text.find('<'), std::string::npos) << "must be harmless inside a script element";
  EXPECT_EQ(text.find("\u2028"), std::string::npos);
  const Json back = parsed(text);
  ASSERT_TRUE(back.is_string());
  EXPECT_EQ(*back.string(), hostile);
}

TEST(Json, NumbersComeBackAsTheyWere) {
  for (const double value : {0.1, 1e-300, 1.7976931348623157e308, -2.5, 3.0, 1.0 / 3})
    EXPECT_EQ(parsed(to_text(Json(value))).number(), value);
  EXPECT_EQ(to_text(Json(std::nan(""))), "null");
  EXPECT_EQ(to_text(Json(INFINITY)), "null");
}

TEST(Json, IndentedTextIsTheSameDocument) {
  Json json;
  json.set("a", Json(Json::Array{Json(1), Json("x")})).set("empty", Json(Json::Object{})).set("none", Json());
  EXPECT_EQ(to_text(json), R"({"a":[1,"x"],"empty":{},"none":null})");
  EXPECT_EQ(to_text(json, 2), "{\n  \"a\": [\n    1,\n    \"x\"\n  ],\n  \"empty\": {},\n  \"none\": null\n}");
  EXPECT_EQ(to_text(parsed(to_text(json, 2))), to_text(json));
}

// Writes down what it is told; stops after `limit` events.
struct Told final : JsonEvents {
  explicit Told(std::size_t limit = 1000) : left(limit) {}
  bool tell(std::string text) { return events += text + " ", --left > 0; }
  bool begin_object() override { return tell("{"); }
  bool end_object() override { return tell("}"); }
  bool begin_array() override { return tell("["); }
  bool end_array() override { return tell("]"); }
  bool key(std::string_view text, std::optional<std::size_t> at) override {
    return tell(std::string(text) + "@" + (at ? std::to_string(*at) : "?"));
  }
  bool string(std::string_view text) override { return tell("'" + std::string(text) + "'"); }
  bool scalar(const Json& value) override { return tell(to_text(value)); }
  std::size_t left;
  std::string events;
};

TEST(JsonEvents, ComeInOrderWithThePlacesOfPlainKeys) {
  Told told;
  ASSERT_TRUE(read_json(R"({"a":[1,-2.5,null,true],"b\u0041":{"c":"d\n"}})", told));
  EXPECT_EQ(told.events, "{ a@2 [ 1 -2.5 null true ] bA@? { c@36 'd\n' } } ");
}

TEST(JsonEvents, StopWhenOneSaysNo) {
  Told told(3);
  const auto stopped = read_json(R"({"a":[1,2,3]})", told);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::interrupted);
  EXPECT_EQ(told.events, "{ a@2 [ ");
}

TEST(JsonEvents, EndWhereTheTextBreaks) {
  Told told;
  const auto broken = read_json(R"({"a":[1,2)", told);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, Code::malformed);
  EXPECT_FALSE(read_json("{} x", told));
}

TEST(Json, RefusesATreeLargerThanAllowed) {
  EXPECT_TRUE(parse_json("[1,2,3]", {.max_tree_bytes = 10000}));
  std::string many = "[0";
  for (int i = 0; i < 1000; ++i) many += ",0";
  const auto refused = parse_json(many + "]", {.max_tree_bytes = 10000});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::range);
}

}  // namespace
}  // namespace assay
