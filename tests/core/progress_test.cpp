// Progress texts and the printer: what users and programs read while long work runs.
#include "runtime/core/progress.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "runtime/core/build_info.h"
#include "runtime/core/json.h"

namespace assay {
namespace {

ProgressState half_way() {
  return {.event = {.task = "writing", .unit = ProgressUnit::bytes, .done = 1'500'000'000, .total = 3'000'000'000},
          .elapsed_s = 3,
          .rate = 5e8,
          .left_s = 3};
}

// What a printer writes to a file.
class Written {
 public:
  Written() : file_(open_memstream(&text_, &size_)) {}
  ~Written() {
    std::fclose(file_);
    std::free(text_);
  }
  Written(const Written&) = delete;
  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* file_;
};

TEST(Progress, SizesHaveThreeDigits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.00 kB");
  EXPECT_EQ(format_bytes(23'400), "23.4 kB");
  EXPECT_EQ(format_bytes(999'600), "1.00 MB");
  EXPECT_EQ(format_bytes(802'566'048), "803 MB");
  EXPECT_EQ(format_bytes(~0ull), "18447 PB");
}

TEST(Progress, DurationsReadAsClocks) {
  EXPECT_EQ(format_duration(6.2), "0:07");
  EXPECT_EQ(format_duration(750), "12:30");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(-1), "-:--");
}

TEST(Progress, LineTellsShareRateAndTimeLeft) {
  EXPECT_EQ(progress_line_text(half_way()), "writing: 50%, 1.50 GB of 3.00 GB, 500 MB/s, 0:03 left");
}

TEST(Progress, BarFitsTheTerminal) {
  for (int width : {10, 40, 60, 80, 200})
    EXPECT_LT(static_cast<int>(progress_bar_text(half_way(), width, false).size()), width) << width;
  EXPECT_NE(progress_bar_text(half_way(), 100, false).find("##"), std::string::npos);
  EXPECT_EQ(progress_bar_text(half_way(), 100, false).find('\x1b'), std::string::npos);
  EXPECT_NE(progress_bar_text(half_way(), 100, true).find('\x1b'), std::string::npos);
}

TEST(Progress, JsonEventsParse) {
  const auto json = parse_json(progress_json_text(half_way()));
  ASSERT_TRUE(json);
  EXPECT_EQ(json->find("done")->unsigned_integer(), 1'500'000'000u);
  EXPECT_EQ(*json->find("task")->string(), "writing");
}

TEST(Progress, PrinterEndsWithTheWholeAndIsSilentWhenAsked) {
  for (ProgressStyle style : {ProgressStyle::bar, ProgressStyle::lines, ProgressStyle::json, ProgressStyle::none}) {
    Written out;
    {
      ProgressPrinter printer(out.file(), {.style = style});
      for (std::uint64_t done = 0; done <= 100; ++done)
        printer.show({.task = "work", .unit = ProgressUnit::items, .done = done, .total = 100});
    }
    if (style == ProgressStyle::none) {
      EXPECT_EQ(out.text(), "");
      continue;
    }
    EXPECT_TRUE(out.text().ends_with("\n"));
    EXPECT_NE(out.text().find("100"), std::string::npos);
    EXPECT_LT(out.text().size(), 1000u);  // a hundred reports in no time are not a hundred lines
  }
}

TEST(Progress, AnUnfinishedBarIsWipedAway) {
  Written out;
  {
    ProgressPrinter printer(out.file(), {.style = ProgressStyle::bar});
    printer.show({.task = "work", .done = 1, .total = 100});
  }
  EXPECT_TRUE(out.text().ends_with("\r\x1b[K"));
}

TEST(BuildInfo, TellsVersionCommitAndCompiler) {
  const BuildInfo& info = build_info();
  EXPECT_FALSE(info.version.empty());
  EXPECT_FALSE(info.commit.empty());
  EXPECT_FALSE(info.compiler.empty());
  EXPECT_EQ(describe_version({.version = "1.2.3", .commit = "abc", .is_dirty = true}), "1.2.3 (commit abc, modified)");
}

}  // namespace
}  // namespace assay
