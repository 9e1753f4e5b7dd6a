// Python's view of text: code points, white space, cases, lines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assay::jinja {

std::size_t count_characters(std::string_view text);
// Byte at which character `index` begins; the end when there are fewer.
std::size_t byte_of(std::string_view text, std::size_t index);
std::vector<std::string_view> characters(std::string_view text);

bool is_space(char32_t code);
bool is_letter(char32_t code);
bool is_digit(char32_t code);
bool is_upper(char32_t code);
bool is_lower(char32_t code);

enum class Side : std::uint8_t { left, right, both };
// Without `chars` white space goes, else any of its characters.
std::string_view strip(std::string_view text, Side side, std::optional<std::string_view> chars = {});

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string swap_case(std::string_view text);
std::string capitalize(std::string_view text);
std::string title(std::string_view text);          // str.title(): letters after anything that is no letter
std::string title_of_words(std::string_view text);  // the filter: after white space, -, (, {, [ and <

std::vector<std::string_view> split_lines(std::string_view text, bool keeps_ends = false);
// Without a separator at runs of white space. `most` splits at most, all when negative.
std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator, std::int64_t most);
std::vector<std::string_view> split_from_right(std::string_view text, std::optional<std::string_view> separator, std::int64_t most);

// At most `most` times, always when negative. The result has `replaced_size` bytes, which is told before it is made.
std::uint64_t replaced_size(std::string_view text, std::string_view old, std::string_view with, std::int64_t most);
std::string replace(std::string_view text, std::string_view old, std::string_view with, std::int64_t most);

std::string escape_html(std::string_view text);

// "yes" when every character is one and there is at least one.
bool all_of(std::string_view text, bool (*is)(char32_t));

}  // namespace assay::jinja
