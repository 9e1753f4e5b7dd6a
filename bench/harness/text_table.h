// TextTable: rows of cells as an aligned table for terminals, as Markdown, or as CSV.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace assay {

enum class Align : unsigned char { left, right };
struct TextColumn {
  std::string title;
  Align align = Align::left;
};

class TextTable {
 public:
  explicit TextTable(std::vector<TextColumn> columns) : columns_(std::move(columns)) {}
  // As many cells as there are columns.
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }

  // Control characters and bytes that are not UTF-8 are the caller's business in terminals; Markdown escapes what it must.
  std::string text() const;
  std::string markdown() const;
  std::string csv() const;

 private:
  std::vector<TextColumn> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Characters of UTF-8 text, as a terminal counts them (no combining or double-width forms).
std::size_t width_of_text(std::string_view text);
// Text as one cell of Markdown: | \ ` < > * _ and line ends made harmless.
std::string markdown_cell(std::string_view text);
// Text as one CSV field: quoted where it has to be; text that a spreadsheet would take for a formula gets a leading '.
std::string csv_field(std::string_view text);

// Three figures and no exponent: 0.0123, 4.56, 78.9, 12346; "n/a" for NaN and infinity.
std::string figure(double value);
// "1234.5 ± 1.2 %"
std::string figure_within(double value, double percent);

}  // namespace assay
