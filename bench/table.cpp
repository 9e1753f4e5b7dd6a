// Widths, figures and quoting of benchmark rows.
#include "bench/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/core/progress.h"

namespace assay {

namespace {

constexpr std::size_t kTimeWidth = 13, kCountWidth = 7, kColumnWidth = 10;

std::size_t width_of(const TableColumn& column) { return std::max(kColumnWidth, column.name.size() + 2); }

std::string cell(const TableColumn& column, const TableRow& row) {
  const auto found = row.counters.find(column.name);
  if (found == row.counters.end()) return "";
  if (row.time_unit == "%") return fmt::format("{:.2f} %", 100 * found->second);
  if (column.style == ColumnStyle::bytes && found->second >= 0) return format_bytes(static_cast<std::uint64_t>(std::llround(found->second)));
  return format_figure(found->second);
}

std::string quote_csv(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::string format_figure(double value) {
  if (!std::isfinite(value)) return "n/a";
  const double size = std::abs(value);
  if (size == 0) return "0";
  if (size < 1e-3 || size >= 1e7) return fmt::format("{:.3g}", value);
  return fmt::format("{:.{}f}", value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : size >= 0.01 ? 4 : 5);
}

std::string table_header(const TableLayout& layout) {
  std::string out = fmt::format("{:<{}}{:>{}}{:>{}}", "Benchmark", layout.name_width, "Time", kTimeWidth, "n", kCountWidth);
  for (const TableColumn& column : layout.columns) out += fmt::format("{:>{}}", column.name, width_of(column));
  return out;
}

std::string table_line(const TableLayout& layout, const TableRow& row) {
  std::string out = fmt::format("{:<{}}", row.name, layout.name_width);
  if (!row.error.empty()) return out + "  ERROR: " + row.error;
  const std::string time = row.time_unit == "%" ? fmt::format("{:.2f} %", 100 * row.real_time) : format_figure(row.real_time) + " " + row.time_unit;
  out += fmt::format("{:>{}}{:>{}}", time, kTimeWidth, row.iterations, kCountWidth);
  for (const TableColumn& column : layout.columns) out += fmt::format("{:>{}}", cell(column, row), width_of(column));
  for (const auto& [name, value] : row.counters)
    if (std::none_of(layout.columns.begin(), layout.columns.end(), [&](const TableColumn& c) { return c.name == name; }))
      out += " " + name + "=" + format_figure(value);
  if (!row.label.empty()) out += "  " + row.label;
  return out;
}

std::string csv_header(const TableLayout& layout) {
  std::string out = "name,iterations,real_time,cpu_time,time_unit,label,error_occurred,error_message";
  for (const TableColumn& column : layout.columns) out += "," + quote_csv(column.name);
  return out;
}

std::string csv_line(const TableLayout& layout, const TableRow& row) {
  const bool failed = !row.error.empty();
  std::string out = quote_csv(row.name) + ",";
  out += failed ? ",,," : fmt::format("{},{},{},{}", row.iterations, row.real_time, row.cpu_time, row.time_unit);
  out += "," + quote_csv(row.label) + "," + (failed ? "true" : "false") + "," + quote_csv(row.error);
  for (const TableColumn& column : layout.columns) {
    const auto found = row.counters.find(column.name);
    out += "," + (failed || found == row.counters.end() ? std::string() : fmt::format("{}", found->second));
  }
  return out;
}

}  // namespace assay
