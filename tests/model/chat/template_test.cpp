// The evaluator of chat templates: every construct against jinja2's text, errors with their line, limits.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "runtime/model/chat/chat_template.h"
#include "tests/support/data.h"

namespace assay {
namespace {

std::tm fixed_now() {  // as tests/model/chat/reference.py has it
  std::tm now = {};
  now.tm_year = 126, now.tm_mon = 6, now.tm_mday = 26, now.tm_hour = 14, now.tm_min = 5, now.tm_sec = 9, now.tm_wday = 0, now.tm_yday = 206;
  return now;
}

Result<std::string> render(std::string_view text, const Json& variables = Json::Object(), RenderLimits limits = {}) {
  ASSAY_TRY(const ChatTemplate parsed, ChatTemplate::parse(text));
  return parsed.render(variables, {.limits = limits, .now = fixed_now()});
}

std::string problem(std::string_view text, RenderLimits limits = {}) {
  const auto rendered = render(text, Json::Object(), limits);
  return rendered ? "rendered: " + *rendered : rendered.error().message();
}

// constructs.json holds the texts that jinja2 made (scripts/make_chat_fixtures.py).
TEST(ChatTemplate, PrintsWhatJinjaPrintsForEveryConstruct) {
  const Json fixture = test::read_json(test::fixture("chat/constructs.json"));
  const Json& variables = *fixture.find("variables");
  std::size_t texts = 0, refusals = 0, errors = 0;
  for (const Json& one : *fixture.find("cases")->array()) {
    const std::string& text = *one.find("template")->string();
    const auto rendered = render(text, variables);
    const std::string told = rendered ? "printed: " + *rendered : rendered.error().detail;
    if (const Json* expected = one.find("text")) {
      ++texts;
      EXPECT_EQ(told, "printed: " + *expected->string()) << text;
    } else if (const Json* message = one.find("refused")) {
      ++refusals;
      EXPECT_TRUE(told.ends_with("refuses this conversation: " + *message->string())) << told;
    } else {
      ++errors;
      EXPECT_TRUE(told.starts_with("line ")) << text << " " << told;
    }
  }
  EXPECT_GT(texts, 200u);
  EXPECT_GE(refusals, 1u);
  EXPECT_GT(errors, 40u);
}

// Twelve templates in the manner of published families'; families.json holds the texts that jinja2 made.
TEST(ChatTemplate, PrintsWhatJinjaPrintsForTemplatesOfFamilies) {
  const Json fixture = test::read_json(test::fixture("chat/families.json"));
  std::map<std::string, std::size_t> texts;
  for (const Json& one : *fixture.find("cases")->array()) {
    const std::string &name = *one.find("template")->string(), &conversation = *one.find("conversation")->string();
    const auto rendered = render(test::read_text(test::fixture("chat/templates") / name), *fixture.find("conversations")->find(conversation));
    const std::string told = rendered ? "printed: " + *rendered : rendered.error().detail;
    if (const Json* expected = one.find("text")) {
      ++texts[name];
      EXPECT_EQ(told, "printed: " + *expected->string()) << name << ", " << conversation;
    } else if (const Json* message = one.find("refused")) {
      EXPECT_TRUE(told.ends_with("refuses this conversation: " + *message->string())) << name << ", " << conversation << ": " << told;
    } else {
      EXPECT_TRUE(told.starts_with("line ")) << name << ", " << conversation << ": " << told;
    }
  }
  EXPECT_GE(texts.size(), 10u);
  for (const auto& [name, count] : texts) EXPECT_GE(count, 4u) << name;
}

TEST(ChatTemplate, NamesWhatItDoesNotSupportWithTheLine) {
  const auto expect = [](std::string_view text, std::string_view part) {
    const auto parsed = ChatTemplate::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Code::unsupported);
    EXPECT_NE(parsed.error().detail.find(part), std::string::npos) << parsed.error().detail;
  };
  expect("a\nb\n{% include 'x' %}", "line 3: {% include %} is not supported");
  expect("{% import 'x' as y %}", "{% import %}");
  expect("{% extends 'x' %}", "{% extends %}");
  expect("{% for x in y recursive %}{% endfor %}", "a recursive loop");
  expect("\n{{ x | xmlattr }}", "line 2: the filter \"xmlattr\"");
  expect("{{ x is weird }}", "the test \"weird\"");
  expect("{{ f(*x) }}", "*arguments");
  expect("{{ 99999999999999999999 }}", "64 bits");
  expect("{% macro m() %}{{ varargs }}{% endmacro %}", "\"varargs\"");
}

TEST(ChatTemplate, NamesAMethodOrATimeFormatItDoesNotSupportWhenItIsReached) {
  EXPECT_EQ(problem("\n{{ 'x'.encode() }}"), "chat template: line 2: the method \"encode\" of a str is not supported");
  EXPECT_EQ(problem("{{ strftime_now('%Q') }}"), "chat template: line 1: the time format \"%Q\" is not supported");
  EXPECT_EQ(problem("{% if true %}{{ 1 | xmlattr }}{% endif %}"), "chat template: line 1: the filter \"xmlattr\" is not supported");
}

TEST(ChatTemplate, ADoubtIsAnUnknownFilterInABranch) {
  const auto doubtful = ChatTemplate::parse("{% if false %}\n{{ 1 | xmlattr }}{% endif %}ok");
  ASSERT_TRUE(doubtful);
  EXPECT_EQ(doubtful->doubt(), "line 2: the filter \"xmlattr\" is not supported");
  EXPECT_EQ(*doubtful->render(Json::Object(), {}), "ok");
  EXPECT_EQ(ChatTemplate::parse("{% if false %}{{ 1 | upper }}{% endif %}")->doubt(), "");
}

TEST(ChatTemplate, ErrorsTellTheLineAndWhatStandsThere) {
  EXPECT_EQ(problem("a\n{{ b c }}"), "chat template: line 2: the expression should end, at \"c\"");
  EXPECT_EQ(problem("\n\n{% if x %}y"), "chat template: line 3: the block that begins here has no end: endif is missing");
  EXPECT_EQ(problem("\n{{ 'x"), "chat template: line 2: this string has no end");
  EXPECT_EQ(problem("{{ a.b.c }}"), "chat template: line 1: 'a' is undefined");
  EXPECT_EQ(problem("{% set a = {} %}\n{{ a.b.c }}"), "chat template: line 2: the dict has no 'b'");
  EXPECT_EQ(problem("{% for x in y %}{% endfor %}\n\n{{ [1]['k'](2) }}"), "chat template: line 3: the list has no 'k'");
  EXPECT_EQ(problem("\xff"), "chat template: is not UTF-8");
}

TEST(ChatTemplate, StopsAtEveryLimit) {
  const RenderLimits small{.steps = 10'000, .memory_bytes = 1 << 20, .output_bytes = 1 << 16, .depth = 100};
  const auto expect = [&](std::string_view text, std::string_view part) {
    const std::string told = problem(text, small);
    EXPECT_TRUE(told.starts_with("chat template: line ")) << told;
    EXPECT_NE(told.find(part), std::string::npos) << text << " said " << told;
  };
  expect("{% for i in range(99999) %}{% endfor %}", "may use");
  expect("{% for i in range(1000) %}{% for j in range(1000) %}{{ i }}{% endfor %}{% endfor %}", "more than 10000 steps");
  expect("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested too deeply");
  expect("{{ 'x' * 100000 }}", "grows beyond");
  expect("{% set ns = namespace(x='abcdefgh') %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", "grows beyond");
  expect("{% for i in range(2000) %}{{ 'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz' }}{% endfor %}", "longer than");
  expect("{% set ns = namespace(x=[]) %}{% for i in range(200) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", "nested too deeply");
  expect("{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}", "grows beyond");
  expect("{{ 'a' | replace('', 'bbbbbbbbbbbbbbbb') | replace('b', 'cccccccccccccccccccccccccccccccccccccccccccccccc') | replace('c', 'ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd') }}", "grows beyond");
  expect("{{ [0] * 999999 }}", "may use");
  expect("{{ 'x' | center(100000) }}", "at most");
  expect("{{ '%99999999s' % 'x' }}", "at most 1000");
}

// Comparing lists that unfold without end ends, too.
TEST(ChatTemplate, ComparesSharedListsWithinBounds) {
  const auto rendered = render("{% set a = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set a.x = [a.x, a.x] %}{% set a.y = [a.y, a.y] %}{% endfor %}{{ a.x == a.y }}");
  ASSERT_TRUE(rendered) << rendered.error().message();
}

TEST(ChatTemplate, RefusesWhatIsNestedTooDeeplyInsteadOfOverflowing) {
  for (const std::string_view open : {"(", "[", "{1:", "-", "not ", "x[", "f("}) {
    std::string text = "{{ ";
    for (int i = 0; i < 100'000; ++i) text += open;
    EXPECT_FALSE(ChatTemplate::parse(text)) << open;
  }
  std::string blocks;
  for (int i = 0; i < 100'000; ++i) blocks += "{% if x %}";
  EXPECT_FALSE(ChatTemplate::parse(blocks));
  std::string chain = "{{ x";
  for (int i = 0; i < 100'000; ++i) chain += ".a";
  EXPECT_FALSE(ChatTemplate::parse(chain + " }}"));
  EXPECT_NE(problem("{% macro m() %}{% if true %}{% for i in [1] %}{{ m() | upper }}{% endfor %}{% endif %}{% endmacro %}{{ m() }}").find("nested too deeply"), std::string::npos);
  std::string sum = "{{ 0";
  for (int i = 0; i < 100'000; ++i) sum += "+1";
  EXPECT_EQ(render(sum + " }}").value(), "100000");  // a long one is no deep one
}

TEST(ChatTemplate, ATemplateIsUsedManyTimes) {
  const auto parsed = ChatTemplate::parse("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
  ASSERT_TRUE(parsed);
  for (const std::string name : {"a", "b"}) {
    const Json message = Json(Json::Object()).set("role", "user").set("content", name);
    EXPECT_EQ(*parsed->render(Json(Json::Object()).set("messages", Json(Json::Array{message})), {}), "user: " + name + "\n");
  }
}

}  // namespace
}  // namespace assay
