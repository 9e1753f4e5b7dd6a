// YAML documents: every key and value with its place, and nothing that grows without bounds.
#include "runtime/registry/yaml.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/data.h"

namespace assay {
namespace {

enum class Colour : std::uint8_t { red, green };
constexpr std::array<std::string_view, 2> kColours = {"red", "green"};
constexpr std::span<const std::string_view> enum_names(Colour) {
  return kColours;
}

struct Inner {
  std::uint64_t memory = 0;
  bool is_on = false;

  static constexpr void fields(auto visit) {
    visit("memory", "B", Better::none, &Inner::memory);
    visit("is_on", "", Better::none, &Inner::is_on);
  }
};
struct Outer {
  std::string name = "before";
  std::int32_t count = 7;
  std::uint32_t size = 7;
  double share = 0;
  Colour colour = Colour::red;
  std::optional<std::uint32_t> limit;
  std::vector<std::string> tags;
  std::vector<Inner> parts;
  Inner inner;

  static constexpr void fields(auto visit) {
    using O = Outer;
    constexpr Better none = Better::none;
    visit("name", "", none, &O::name);
    visit("count", "", none, &O::count);
    visit("size", "", none, &O::size);
    visit("share", "", none, &O::share);
    visit("colour", "", none, &O::colour);
    visit("limit", "", none, &O::limit);
    visit("tags", "", none, &O::tags);
    visit("parts", "", none, &O::parts);
    visit("inner", "", none, &O::inner);
  }
};

std::pair<Outer, std::vector<YamlProblem>> read(std::string_view text) {
  std::pair<Outer, std::vector<YamlProblem>> out;
  const auto document = parse_yaml(text, "x.yaml");
  EXPECT_TRUE(document) << document.error().message();
  if (document) read_yaml(*document, out.first, out.second);
  return out;
}

std::string error_of(std::string_view text) {
  const auto document = parse_yaml(text, "x.yaml");
  EXPECT_FALSE(document) << text;
  return document ? "" : document.error().message();
}

TEST(Yaml, EveryKindOfValueIsReadAndMissingKeysKeepTheirs) {
  const auto [out, problems] = read(
      "count: -3\nshare: 0.25\ncolour: green\nlimit: 5\ntags: [a, \"b c\"]\nparts:\n  - memory: 1.5GB\n  - is_on: "
      "yes\ninner: {memory: 512MiB, is_on: true}\n");
  EXPECT_TRUE(problems.empty()) << describe(problems.front(), "x.yaml");
  EXPECT_EQ(out.name, "before");
  EXPECT_EQ(out.count, -3);
  EXPECT_EQ(out.share, 0.25);
  EXPECT_EQ(out.colour, Colour::green);
  EXPECT_EQ(out.limit, 5u);
  EXPECT_EQ(out.tags, (std::vector<std::string>{"a", "b c"}));
  ASSERT_EQ(out.parts.size(), 2u);
  EXPECT_EQ(out.parts[0].memory, 1'500'000'000u);
  EXPECT_TRUE(out.parts[1].is_on);
  EXPECT_EQ(out.inner.memory, 512u << 20);
}

TEST(Yaml, EveryFailingKeyIsNamedWithItsLineAndColumn) {
  const auto problems = read(
                            "nmae: x\ncount: many\nsize: -1\nshare: wide\ncolour: blue\nparts:\n  - memory: 3 apples\n "
                            " - nothing: here\ninner: 5\ntags: x\n")
                            .second;
  std::vector<std::string> told;
  for (const YamlProblem& problem : problems) told.push_back(describe(problem, "x.yaml"));
  const std::vector<std::string> beginnings = {"x.yaml:1:1: nmae: ",
                                               "x.yaml:2:8: count: ",
                                               "x.yaml:3:7: size: ",
                                               "x.yaml:4:8: share: ",
                                               "x.yaml:5:9: colour: ",
                                               "x.yaml:7:13: parts[1].memory: ",
                                               "x.yaml:8:5: parts[2].nothing: ",
                                               "x.yaml:9:8: inner: ",
                                               "x.yaml:10:7: tags: "};
  ASSERT_EQ(told.size(), beginnings.size());
  for (std::size_t i = 0; i < told.size(); ++i)
    EXPECT_TRUE(told[i].starts_with(beginnings[i])) << told[i] << "\n" << beginnings[i];
  EXPECT_NE(told[0].find("did you mean \"name\""), std::string::npos) << told[0];
  EXPECT_NE(told[4].find("red, green"), std::string::npos) << told[4];
}

TEST(Yaml, QuotedNumbersAreText) {
  EXPECT_EQ(read("name: \"5\"").first.name, "5");
  EXPECT_EQ(read("count: \"5\"").second.size(), 1u);
}

TEST(Yaml, WhatCouldGrowOrMeanTwoThingsIsRefusedWithItsPlace) {
  EXPECT_NE(error_of("a: &x [1, 2]\nb: *x\n").find("x.yaml:2:4"), std::string::npos);
  EXPECT_NE(error_of("a: 1\nb: 2\na: 3\n").find("x.yaml:3:1: \"a\" stands here twice"), std::string::npos);
  EXPECT_NE(error_of("a: 1\n---\nb: 2\n").find("more than one document"), std::string::npos);
  EXPECT_NE(error_of(std::string("a: \0b", 5)).find("NUL"), std::string::npos);
  EXPECT_NE(error_of(std::string((1 << 20) + 1, ' ')).find("larger than a megabyte"), std::string::npos);
  EXPECT_NE(error_of("a: [1, 2\nb: 3").find("x.yaml:"), std::string::npos);
  EXPECT_NE(error_of("? [a, b]\n: 1").find("plain text"), std::string::npos);
  std::string deep, many;
  for (int i = 0; i < 40; ++i) deep += "[";
  for (int i = 0; i < 40; ++i) deep += "]";
  for (int i = 0; i < 100'001; ++i) many += "- 1\n";
  EXPECT_NE(error_of(deep).find("levels deep"), std::string::npos);
  EXPECT_NE(error_of(many).find("values"), std::string::npos);
  EXPECT_FALSE(parse_yaml(std::string(100'000, '['), "x.yaml"));
  EXPECT_FALSE(parse_yaml(std::string(100'000, '{'), "x.yaml"));
}

TEST(Yaml, MutatedDocumentsAreReadOrRefusedAndNothingElse) {
  const std::string whole =
      "model: \"a b\"\nload: {context: 4096, kv: f16}\nfallbacks:\n  - {context: 1}\n  - &x [1, 2]\ntext: |\n  two\n  "
      "lines\n";
  std::mt19937 random(7);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text = whole;
    for (int change = 0; change < 1 + round % 4; ++change) {
      const std::size_t at = random() % text.size();
      if (random() % 3 == 0)
        text.erase(at, 1 + random() % 8);
      else
        text[at] = static_cast<char>("{}[]:,-\"'|>&*!%@\n\t \x80\xff#?~0a"[random() % 27]);
      if (text.empty()) text = "x";
    }
    const auto document = parse_yaml(text, "x.yaml");
    refused += !document;
    EXPECT_TRUE(document || !document.error().message().empty());
  }
  EXPECT_GT(refused, 500) << "the mutations reach the refusals";
}

TEST(Yaml, SizesAreReadInPowersOf1000AndOf1024) {
  const std::pair<std::string_view, std::optional<std::uint64_t>> cases[] = {{"0", 0},
                                                                             {"4096", 4096},
                                                                             {"4GB", 4'000'000'000},
                                                                             {"4 GiB", 4ull << 30},
                                                                             {"1.5k", 1500},
                                                                             {"2TB", 2'000'000'000'000},
                                                                             {"x", std::nullopt},
                                                                             {"", std::nullopt},
                                                                             {"-1", std::nullopt},
                                                                             {"4XB", std::nullopt},
                                                                             {"1e30", std::nullopt},
                                                                             {"99999999999TB", std::nullopt}};
  for (const auto& [text, bytes] : cases) EXPECT_EQ(bytes_from_text(text), bytes) << text;
}

}  // namespace
}  // namespace assay
