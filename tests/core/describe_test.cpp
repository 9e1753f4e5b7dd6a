// Described records: JSON both ways, columns, and errors that name the place.
#include "runtime/core/describe.h"

#include <gtest/gtest.h>

#include <array>

namespace assay {

enum class Colour : std::uint8_t { red, dark_green };
inline constexpr std::array<std::string_view, 2> kColourNames = {"red", "dark-green"};
constexpr std::span<const std::string_view> enum_names(Colour) { return kColourNames; }

struct Inner {
  int threads = 1;
  std::optional<double> clock_mhz;
  bool operator==(const Inner&) const = default;
  static constexpr void fields(auto visit) {
    visit("threads", "", Better::none, &Inner::threads);
    visit("clock_mhz", "MHz", Better::none, &Inner::clock_mhz);
  }
};

struct Outer {
  std::string name = "?";
  double speed = 0;
  std::uint64_t bytes = 0;
  std::uint8_t small = 0;
  bool passed = false;
  Colour colour = Colour::red;
  std::vector<double> samples;
  std::vector<Inner> list;
  Inner inner;
  std::optional<Inner> maybe;
  bool operator==(const Outer&) const = default;
  static constexpr void fields(auto visit) {
    visit("name", "", Better::none, &Outer::name);
    visit("speed", "tok/s", Better::higher, &Outer::speed);
    visit("bytes", "B", Better::lower, &Outer::bytes);
    visit("small", "", Better::none, &Outer::small);
    visit("passed", "", Better::none, &Outer::passed);
    visit("colour", "", Better::none, &Outer::colour);
    visit("samples", "ms", Better::none, &Outer::samples);
    visit("list", "", Better::none, &Outer::list);
    visit("inner", "", Better::none, &Outer::inner);
    visit("maybe", "", Better::none, &Outer::maybe);
  }
};

namespace {

Outer example() {
  return {.name = "a \"b\"", .speed = 12.25, .bytes = std::uint64_t{1} << 63, .small = 255, .passed = true, .colour = Colour::dark_green,
          .samples = {1, 2.5}, .list = {{.threads = -3, .clock_mhz = {}}, {.threads = 4, .clock_mhz = 2600}}, .inner = {.threads = 2, .clock_mhz = 1}, .maybe = Inner{}};
}

Result<Outer> read(std::string_view text) {
  auto json = parse_json(text);
  if (!json) return std::move(json).error();
  return from_json<Outer>(*json);
}

TEST(Describe, RecordComesBackFromItsJson) {
  const auto back = read(to_text(to_json(example())));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_TRUE(*back == example());
}

TEST(Describe, JsonHasTheFieldsInOrderAndNullForUnknown) {
  EXPECT_EQ(to_text(to_json(Outer{})),
            R"({"name":"?","speed":0,"bytes":0,"small":0,"passed":false,"colour":"red","samples":[],"list":[],"inner":{"threads":1,"clock_mhz":null},"maybe":null})");
}

TEST(Describe, NotANumberIsNullBothWays) {
  Outer record;
  record.speed = std::nan("");
  EXPECT_NE(to_text(to_json(record)).find("\"speed\":null"), std::string::npos);
  EXPECT_TRUE(std::isnan(read(R"({"speed": null})")->speed));
}

TEST(Describe, UnknownKeysAreIgnoredAndAbsentOnesKeepTheirDefault) {
  const auto record = read(R"({"from_the_future": {"x": [1]}, "speed": 3})");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->speed, 3);
  EXPECT_EQ(record->name, "?");
}

TEST(Describe, WrongTypeNamesThePath) {
  EXPECT_EQ(read(R"({"inner": {"threads": "two"}})").error().subject, "inner.threads");
  EXPECT_EQ(read(R"({"name": 3})").error().message(), "name: must be text");
  EXPECT_EQ(read(R"({"colour": "blue"})").error().message(), "colour: must be one of red, dark-green");
  EXPECT_EQ(read(R"({"samples": 1})").error().code, Code::type);
  EXPECT_FALSE(read(R"({"passed": 1})"));
  EXPECT_FALSE(read(R"({"list": [{"threads": 1}, 7]})"));
  EXPECT_FALSE(read("[]"));
}

TEST(Describe, IntegersOutOfRangeAreRefused) {
  EXPECT_FALSE(read(R"({"small": 256})"));
  EXPECT_FALSE(read(R"({"small": -1})"));
  EXPECT_FALSE(read(R"({"bytes": 1.5})"));
  EXPECT_FALSE(read(R"({"inner": {"threads": 3000000000}})"));
}

TEST(Describe, ColumnsAndCellsMatch) {
  const auto columns = columns_of<Outer>();
  const auto cells = cells_of(example());
  ASSERT_EQ(columns.size(), 11u);
  ASSERT_EQ(cells.size(), columns.size());
  EXPECT_EQ(columns[1].name, "speed");
  EXPECT_EQ(columns[1].unit, "tok/s");
  EXPECT_EQ(columns[1].better, Better::higher);
  EXPECT_EQ(columns[8].name, "inner.threads");
  EXPECT_EQ(cells[8].integer(), 2);
  EXPECT_EQ(columns[9].name, "inner.clock_mhz");
  EXPECT_EQ(columns[9].unit, "MHz");
}

}  // namespace
}  // namespace assay
