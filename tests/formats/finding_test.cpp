// Findings, sinks and wording.
#include "runtime/formats/finding.h"

#include <gtest/gtest.h>

#include "runtime/formats/reporter.h"

namespace assay {
namespace {

Finding finding(Severity severity, std::string message) {
  return {.severity = severity,
          .rule = "x.y",
          .code = Code::range,
          .file = "f",
          .offset = 7,
          .subject = "s",
          .message = std::move(message),
          .advice = "do this"};
}

TEST(Finding, BecomesAnErrorThatNamesFileFieldOffsetAndAdvice) {
  EXPECT_EQ(finding(Severity::error, "is wrong").to_error().message(), "f: s: is wrong; do this (at byte 7)");
}

TEST(FirstError, LetsWarningsPassAndStopsAtTheFirstError) {
  FirstError sink;
  EXPECT_TRUE(sink.report(finding(Severity::warning, "odd")));
  EXPECT_FALSE(sink.error());
  EXPECT_FALSE(sink.report(finding(Severity::error, "first")));
  EXPECT_FALSE(sink.report(finding(Severity::error, "second")));
  EXPECT_EQ(sink.error()->detail, "first; do this");
}

TEST(AllFindings, StopsAtItsLimit) {
  AllFindings sink(2);
  EXPECT_TRUE(sink.report(finding(Severity::note, "1")));
  EXPECT_FALSE(sink.report(finding(Severity::note, "2")));
  EXPECT_FALSE(sink.report(finding(Severity::note, "3")));
  EXPECT_EQ(sink.findings().size(), 2u);
}

TEST(Reporter, PassesNothingOnOnceTheSinkSaidNo) {
  AllFindings sink(1);
  Reporter report(sink, "file");
  EXPECT_FALSE(report.warning({.message = "a"}));
  EXPECT_FALSE(report.error({.message = "b"}));
  EXPECT_TRUE(report.stopped());
  EXPECT_EQ(sink.findings().size(), 1u);
  EXPECT_EQ(sink.findings()[0].file, "file");
}

TEST(Printable, KeepsUtf8EscapesTheRestAndCutsLongText) {
  EXPECT_EQ(printable("caf\xc3\xa9"), "caf\xc3\xa9");
  EXPECT_EQ(printable(std::string_view("a\0\n\xff", 4)), "a\\x00\\x0a\\xff");
  EXPECT_EQ(printable("\xed\xa0\x80\xc0\xaf"), "\\xed\\xa0\\x80\\xc0\\xaf");  // a surrogate, an overlong slash
  EXPECT_EQ(printable("abcdef", 3), "abc...");
}

TEST(NameFinder, SearchesALimitedNumberOfTimes) {
  NameFinder places("{\"a\":1,\"b\":2,\"a\":3}", 8);
  EXPECT_EQ(places.find("a"), 9u);
  EXPECT_EQ(places.find("a", 1), 21u);
  EXPECT_EQ(places.find("c"), std::nullopt);
  for (int i = 0; i < 40; ++i) (void)places.find("c");
  EXPECT_EQ(places.find("a"), std::nullopt);
}

}  // namespace
}  // namespace assay
