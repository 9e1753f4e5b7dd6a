// Reports: what is in them, that hostile names stay text, that they stay small.
#include "reports/render/report.h"

#include <gtest/gtest.h>

#include "tests/bench/made_runs.h"

namespace assay {
namespace {

using test::made_run;

std::vector<CaseRun> some_runs() {
  CaseRun noisy = made_run("beta", {1000, 1400, 900, 1100, 1300}, {25, 30, 20, 28, 22});
  return {made_run("alpha", {1000, 1010, 990}, {25, 26, 24}), noisy, test::failed_run("gamma", Status::oom, "the system ended it")};
}

TEST(Report, SummarySaysWhatMatters) {
  const Report report = make_report(some_runs());
  EXPECT_NE(report.summary.find("3 cases of 3 models"), std::string::npos) << report.summary;
  EXPECT_NE(report.summary.find("1 case failed"), std::string::npos) << report.summary;
  EXPECT_NE(report.summary.find("fastest generation 25"), std::string::npos) << report.summary;
  EXPECT_NE(make_report({}).summary.find("0 cases"), std::string::npos);
}

TEST(Report, FormsHoldEveryCase) {
  const Report report = make_report(some_runs());
  for (const ReportFormat format : {ReportFormat::html, ReportFormat::md, ReportFormat::json, ReportFormat::csv, ReportFormat::junit}) {
    const std::string text = render(report, format);
    for (const char* name : {"alpha", "beta", "gamma", "oom"}) EXPECT_NE(text.find(name), std::string::npos) << name << " in " << kReportFormats[static_cast<std::size_t>(format)];
  }
  EXPECT_TRUE(parse_json(render(report, ReportFormat::json)));
  EXPECT_NE(render(report, ReportFormat::junit).find("tests=\"3\" failures=\"1\""), std::string::npos);
  EXPECT_EQ(render(make_report({}), ReportFormat::csv).find("Model,Test"), 0u);
}

TEST(Report, HostileNamesStayText) {
  const std::string name = "</script><script>alert(1)</script>\"'&\xe2\x80\xae{{data}}";
  const Report report = make_report({made_run(name, {1000, 1010, 990}, {25, 26, 24})});
  const std::string html = report_html(report);
  EXPECT_EQ(html.find("<script>alert"), std::string::npos);
  std::size_t ends = 0;
  for (std::size_t at = html.find("</script"); at != std::string::npos; at = html.find("</script", at + 1)) ++ends;
  EXPECT_EQ(ends, 4u) << "one for each script of the page itself";
  EXPECT_EQ(render(report, ReportFormat::junit).find("<script>"), std::string::npos);
  EXPECT_EQ(report_markdown(report).find("<script>"), std::string::npos);
}

TEST(Report, PageNeedsNothingElse) {
  const std::string html = report_html(make_report(some_runs()));
  for (const char* part : {"src=\"http", "href=\"http", "@import", "url(http"}) EXPECT_EQ(html.find(part), std::string::npos) << part;
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(html.find("Chart.js v"), std::string::npos);
  EXPECT_EQ(html.find("{{"), html.find("{{", html.find("Chart.js v"))) << "no hole of the page itself is left";
}

TEST(Report, FiveHundredRowsStayBelowOneAndAHalfMegabytes) {
  std::vector<CaseRun> runs;
  for (int i = 0; i < 500; ++i) {
    runs.push_back(made_run("a-model-with-a-rather-long-name-" + std::to_string(i), {1000.0 + i, 1010.0 + i, 990.0 + i, 1020, 980}, {25, 26, 24, 25.5, 24.5}));
    runs.back().engine.commit = std::to_string(i % 10);
  }
  const std::string html = report_html(make_report(runs));
  EXPECT_LT(html.size(), 1'500'000u);
}

}  // namespace
}  // namespace assay
