// The console table and the CSV form of benchmark rows: plain values in, one line of text out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

enum class ColumnStyle : std::uint8_t { number, bytes };
struct TableColumn {
  std::string name;  // of the counter
  ColumnStyle style = ColumnStyle::number;
};

struct TableRow {
  std::string name;
  std::string error;  // not empty: nothing else is shown
  double real_time = 0, cpu_time = 0;
  std::string time_unit;  // "ms"; "%" for a coefficient of variation
  std::int64_t iterations = 0;
  std::map<std::string, double> counters;
  std::string label;
};

// Columns are `columns` in their order, then counters of the row that are not among them as NAME=VALUE.
struct TableLayout {
  std::size_t name_width = 0;
  std::vector<TableColumn> columns;
};
std::string table_header(const TableLayout& layout);
std::string table_line(const TableLayout& layout, const TableRow& row);

std::string csv_header(const TableLayout& layout);
std::string csv_line(const TableLayout& layout, const TableRow& row);

// At least three figures, no exponent between 0.001 and a million: "0.0123", "4.56", "78.9", "1234".
std::string format_figure(double value);

}  // namespace assay
