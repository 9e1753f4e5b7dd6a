// The console table and CSV: columns that line up, figures that can be read, quoting that survives.
#include "bench/table.h"

#include <gtest/gtest.h>

#include <cmath>

namespace assay {
namespace {

const TableLayout kLayout{.name_width = 12, .columns = {{"tok/s"}, {"peakRSS", ColumnStyle::bytes}}};

TableRow example() {
  TableRow row;
  row.name = "m/decode/8";
  row.real_time = row.cpu_time = 12.345;
  row.time_unit = "ms";
  row.iterations = 40;
  row.counters = {{"tok/s", 1234.5}, {"peakRSS", 2'500'000}};
  return row;
}

TEST(Table, FiguresKeepThreeDigitsAndNoExponentInBetween) {
  EXPECT_EQ(format_figure(0), "0");
  EXPECT_EQ(format_figure(0.01234), "0.0123");
  EXPECT_EQ(format_figure(4.567), "4.57");
  EXPECT_EQ(format_figure(45.67), "45.7");
  EXPECT_EQ(format_figure(456.7), "457");
  EXPECT_EQ(format_figure(1234567), "1234567");
  EXPECT_EQ(format_figure(1.5e-5), "1.5e-05");
  EXPECT_EQ(format_figure(-2.5), "-2.50");
  EXPECT_EQ(format_figure(NAN), "n/a");
}

TEST(Table, CellsStandUnderTheirHeader) {
  const std::string header = table_header(kLayout), line = table_line(kLayout, example());
  EXPECT_EQ(header.size(), line.size());
  EXPECT_EQ(header.find("tok/s") + 5, line.find("1234") + 4);  // right borders
  EXPECT_EQ(line.substr(line.size() - 7), "2.50 MB");
}

TEST(Table, AbsentCounterLeavesItsCellEmptyAndAnUnknownOneIsNamed) {
  TableRow row = example();
  row.counters = {{"peakRSS", 1000}, {"extra", 2}};
  row.label = "llama";
  const std::string line = table_line(kLayout, row);
  EXPECT_EQ(line.find("1234"), std::string::npos);
  EXPECT_NE(line.find(" extra=2.00  llama"), std::string::npos);
}

TEST(Table, ErrorRowShowsNoNumber) {
  TableRow row = example();
  row.error = "wrong answer";
  EXPECT_EQ(table_line(kLayout, row), "m/decode/8    ERROR: wrong answer");
}

TEST(Table, VariationIsShownInPercent) {
  TableRow row = example();
  row.time_unit = "%";
  row.real_time = 0.0853;
  row.counters = {{"tok/s", 0.0134}};
  const std::string line = table_line(kLayout, row);
  EXPECT_NE(line.find("8.53 %"), std::string::npos);
  EXPECT_NE(line.find("1.34 %"), std::string::npos);
}

TEST(Table, CsvQuotesWhatNeedsIt) {
  TableRow row = example();
  row.label = "a \"b\", c";
  EXPECT_EQ(csv_header(kLayout), "name,iterations,real_time,cpu_time,time_unit,label,error_occurred,error_message,\"tok/s\",\"peakRSS\"");
  EXPECT_EQ(csv_line(kLayout, row), "\"m/decode/8\",40,12.345,12.345,ms,\"a \"\"b\"\", c\",false,\"\",1234.5,2500000");
  row.error = "bad";
  EXPECT_EQ(csv_line(kLayout, row), "\"m/decode/8\",,,,,\"a \"\"b\"\", c\",true,\"bad\",,");
}

}  // namespace
}  // namespace assay
