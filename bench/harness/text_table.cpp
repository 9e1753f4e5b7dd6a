// Layout and escaping behind TextTable.
#include "bench/harness/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/core/assert.h"

namespace assay {

namespace {

std::string padded(const std::string& text, std::size_t width, Align align) {
  const std::string space(width - std::min(width, width_of_text(text)), ' ');
  return align == Align::left ? text + space : space + text;
}

}  // namespace

std::size_t width_of_text(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string markdown_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '\n' || c == '\r') out += ' ';
    else if (c == '|' || c == '\\' || c == '`' || c == '*' || c == '[' || c == ']') out += {'\\', c};
    else out += c;
  }
  return out;
}

std::string csv_field(std::string_view text) {
  std::string out(text);
  const bool is_number = !text.empty() && text.find_first_not_of("0123456789.+-eE") == std::string_view::npos;
  if (!text.empty() && !is_number && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos) out.insert(0, "'");
  if (out.find_first_of(",\"\n\r") == std::string::npos) return out;
  std::string quoted = "\"";
  for (const char c : out) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string figure(double value) {
  if (!std::isfinite(value)) return "n/a";
  const double size = std::abs(value);
  if (size == 0) return "0";
  const int digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : std::min(9, 2 - static_cast<int>(std::floor(std::log10(size))));
  return fmt::format("{:.{}f}", value, digits);
}

std::string figure_within(double value, double percent) {
  return std::isfinite(percent) ? fmt::format("{} ± {:.1f} %", figure(value), percent) : figure(value);
}

void TextTable::add(std::vector<std::string> cells) {
  ASSAY_CHECK(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string TextTable::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = width_of_text(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, width_of_text(row[i]));
    widths.push_back(width);
  }
  std::string out;
  const auto add_line = [&](auto&& cell) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) line += (i > 0 ? "  " : "") + padded(cell(i), widths[i], columns_[i].align);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line([&](std::size_t i) { return columns_[i].title; });
  for (const auto& row : rows_) add_line([&](std::size_t i) { return row[i]; });
  return out;
}

std::string TextTable::markdown() const {
  std::vector<std::vector<std::string>> cells(1);
  for (const TextColumn& column : columns_) cells[0].push_back(markdown_cell(column.title));
  for (const auto& row : rows_) {
    auto& line = cells.emplace_back();
    for (const std::string& cell : row) line.push_back(markdown_cell(cell));
  }
  std::string out;
  std::vector<std::size_t> widths(columns_.size(), 3);
  for (const auto& line : cells)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width_of_text(line[i]));
  for (std::size_t row = 0; row < cells.size(); ++row) {
    for (std::size_t i = 0; i < columns_.size(); ++i) out += "| " + padded(cells[row][i], widths[i], columns_[i].align) + " ";
    out += "|\n";
    if (row > 0) continue;
    for (std::size_t i = 0; i < columns_.size(); ++i) out += columns_[i].align == Align::right ? "| " + std::string(widths[i] - 1, '-') + ": " : "| " + std::string(widths[i], '-') + " ";
    out += "|\n";
  }
  return out;
}

std::string TextTable::csv() const {
  std::string out;
  const auto add_line = [&](auto&& cell) {
    for (std::size_t i = 0; i < columns_.size(); ++i) out += (i > 0 ? "," : "") + csv_field(cell(i));
    out += "\n";
  };
  add_line([&](std::size_t i) { return columns_[i].title; });
  for (const auto& row : rows_) add_line([&](std::size_t i) { return row[i]; });
  return out;
}

}  // namespace assay
