// Filters that make text or a number.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "runtime/model/chat/filters.h"
#include "runtime/model/chat/text.h"

namespace assay::jinja {

namespace {

using Filtered = Result<Value>;

template <std::string (*Change)(std::string_view)>
Filtered change_text(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY([[maybe_unused]] const Bound bound, Bound::make(arguments, {}));
  ASSAY_TRY(const std::string text, machine.text_of(input));
  return machine.store().text(Change(text), is_safe(input));
}

Filtered string(Machine& machine, const Value& input, const Arguments&) {
  if (as<Text>(input)) return input;
  ASSAY_TRY(std::string text, machine.text_of(input));
  return machine.store().text(std::move(text));
}

Filtered trim(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"chars"}));
  ASSAY_TRY(const std::string text, machine.text_of(input));
  std::optional<std::string_view> chars;
  if (const Value* given = bound.at(0); given != nullptr && !is_none(*given)) {
    ASSAY_TRY(chars, bound.text(0));
  }
  ASSAY_TRY_VOID(machine.spend(text.size() * (chars ? 1 + chars->size() : 1)));
  return machine.store().text(std::string(strip(text, Side::both, chars)), is_safe(input));
}

Filtered replace_text(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"old", "new", "count"}));
  if (bound.at(0) == nullptr || bound.at(1) == nullptr) return wrong("replace needs what to replace and what with");
  ASSAY_TRY(const std::string text, machine.text_of(input));
  ASSAY_TRY(const std::string old, machine.text_of(*bound.at(0)));
  ASSAY_TRY(const std::string with, machine.text_of(*bound.at(1)));
  const bool all = bound.at(2) == nullptr || is_none(*bound.at(2));
  ASSAY_TRY(const std::int64_t count, all ? Result<std::int64_t>(-1) : bound.integer(2));
  if (replaced_size(text, old, with, count) > machine.text_limit()) return too_long();
  return machine.store().text(replace(text, old, with, count));
}

Filtered escape(Machine& machine, const Value& input, const Arguments&) {
  if (is_safe(input)) return input;
  ASSAY_TRY(const std::string text, machine.text_of(input));
  return machine.store().text(escape_html(text), true);
}

Filtered force_escape(Machine& machine, const Value& input, const Arguments&) {
  ASSAY_TRY(const std::string text, machine.text_of(input));
  return machine.store().text(escape_html(text), true);
}

Filtered safe(Machine& machine, const Value& input, const Arguments&) {
  ASSAY_TRY(std::string text, machine.text_of(input));
  return machine.store().text(std::move(text), true);
}

Filtered indent(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"width", "first", "blank"}));
  const Text* text = as<Text>(input);
  if (text == nullptr) return wrong(fmt::format("indent needs a text, not a {}", type_name(input)));
  std::string by = "    ";
  if (const Value* width = bound.at(0)) {
    if (const Text* itself = as<Text>(*width)) {
      by = itself->bytes;
    } else {
      ASSAY_TRY(const std::int64_t count, bound.integer(0));
      if (count > 1000) return wrong("indent takes at most 1000 spaces");
      by.assign(static_cast<std::size_t>(std::max<std::int64_t>(0, count)), ' ');
    }
  }
  const std::string all = std::string(text->bytes) + "\n";
  const std::vector<std::string_view> lines = split_lines(all);
  if (lines.size() * by.size() + all.size() > machine.text_limit()) return too_long();
  std::string out = bound.flag(1) ? by : "";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i > 0 && (bound.flag(2) || !lines[i].empty())) out += by;
    out += lines[i];
  }
  return machine.store().text(std::move(out), text->is_safe);
}

Filtered center(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"width"}));
  ASSAY_TRY(const std::int64_t width, bound.integer(0, 80));
  if (width > 10'000) return wrong("center takes at most 10000 characters");
  ASSAY_TRY(const std::string text, machine.text_of(input));
  const auto size = static_cast<std::int64_t>(count_characters(text));
  const std::int64_t margin = std::max<std::int64_t>(0, width - size);
  const std::int64_t left = margin / 2 + (margin & width & 1);
  return machine.store().text(std::string(static_cast<std::size_t>(left), ' ') + text + std::string(static_cast<std::size_t>(margin - left), ' '), is_safe(input));
}

Filtered truncate(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"length", "killwords", "end", "leeway"}));
  const Text* text = as<Text>(input);
  if (text == nullptr) return wrong(fmt::format("truncate needs a text, not a {}", type_name(input)));
  ASSAY_TRY(const std::int64_t length, bound.integer(0, 255));
  ASSAY_TRY(const std::string_view end, bound.text(2, "..."));
  const bool has_leeway = bound.at(3) != nullptr && !is_none(*bound.at(3));
  ASSAY_TRY(const std::int64_t leeway, has_leeway ? bound.integer(3) : Result<std::int64_t>(5));
  const auto end_size = static_cast<std::int64_t>(count_characters(end));
  if (length < end_size || leeway < 0) return wrong("truncate needs a length of at least that of its end");
  if (static_cast<std::int64_t>(count_characters(text->bytes)) <= length + std::min<std::int64_t>(leeway, 1 << 30)) return input;
  std::string_view kept = text->bytes.substr(0, byte_of(text->bytes, static_cast<std::size_t>(length - end_size)));
  if (!bound.flag(1)) kept = split_from_right(kept, " ", 1)[0];
  return machine.store().text(std::string(kept) + std::string(end), text->is_safe);
}

Filtered word_count(Machine& machine, const Value& input, const Arguments&) {
  ASSAY_TRY(const std::string text, machine.text_of(input));
  std::int64_t words = 0;
  bool inside = false;
  for (const std::string_view character : characters(text)) {
    const bool is_word = character == "_" || all_of(character, is_letter) || all_of(character, is_digit);
    if (is_word && !inside) ++words;
    inside = is_word;
  }
  return Value(words);
}

void append_url(std::string& out, std::string_view text, bool is_query) {
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' || c == '~' || (c == '/' && !is_query);
    if (plain)
      out += c;
    else if (c == ' ' && is_query)
      out += '+';
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
}

Filtered url_encode(Machine& machine, const Value& input, const Arguments&) {
  std::string out;
  if (as_dict(input) == nullptr && as_list(input) == nullptr) {
    ASSAY_TRY(const std::string text, machine.text_of(input));
    append_url(out, text, false);
    return machine.store().text(std::move(out));
  }
  std::vector<std::pair<Value, Value>> pairs;
  if (const Dict* dict = as_dict(input)) {
    pairs = dict->entries;
  } else {
    for (const Value& item : as_list(input)->items) {
      const List* pair = as_list(item);
      if (pair == nullptr || pair->items.size() != 2) return wrong("urlencode needs pairs");
      pairs.emplace_back(pair->items[0], pair->items[1]);
    }
  }
  for (const auto& [key, value] : pairs) {
    ASSAY_TRY(const std::string name, machine.text_of(key));
    ASSAY_TRY(const std::string text, machine.text_of(value));
    if (!out.empty()) out += '&';
    append_url(out, name, true);
    out += '=';
    append_url(out, text, true);
    if (out.size() > machine.text_limit()) return too_long();
  }
  return machine.store().text(std::move(out));
}

Filtered format(Machine& machine, const Value& input, const Arguments& arguments) {
  if (!arguments.named.empty()) return Error{Code::unsupported, "format", "named values of the filter \"format\" are not supported"};
  ASSAY_TRY(const std::string pattern, machine.text_of(input));
  return format_text(machine, pattern, arguments.positional);
}

Filtered to_json_text(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"ensure_ascii", "indent", "separators", "sort_keys"}));
  JsonStyle style;
  // The filter of Jinja itself takes the indent first, as {{ x | tojson(2) }} has it.
  const bool first_is_indent = bound.at(0) != nullptr && as<std::int64_t>(*bound.at(0)) != nullptr;
  const std::size_t indent_at = first_is_indent ? 0 : 1;
  style.ascii = !first_is_indent && bound.flag(0);
  style.sorts_keys = bound.flag(3);
  if (bound.at(indent_at) != nullptr && !is_none(*bound.at(indent_at))) {
    ASSAY_TRY(const std::int64_t width, bound.integer(indent_at));
    if (width > 100) return wrong("tojson takes an indent of at most 100");
    style.indent = static_cast<int>(std::max<std::int64_t>(0, width));
    style.item_separator = ",";
  }
  if (const Value* separators = bound.at(2); separators != nullptr && !is_none(*separators)) {
    const List* pair = as_list(*separators);
    if (pair == nullptr || pair->items.size() != 2 || !as<Text>(pair->items[0]) || !as<Text>(pair->items[1])) return wrong("tojson needs two texts as separators");
    style.item_separator = as<Text>(pair->items[0])->bytes;
    style.key_separator = as<Text>(pair->items[1])->bytes;
  }
  ASSAY_TRY(std::string text, to_json(input, style, machine.text_limit()));
  return machine.store().text(std::move(text));
}

Result<Value> integer_of(double number) {
  if (!(number > -9.2e18 && number < 9.2e18)) return Error{Code::range, "integer", "an integer of more than 64 bits"};
  return Value(static_cast<std::int64_t>(number));
}

Filtered to_integer(Machine& machine, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"default", "base"}));
  ASSAY_TRY_VOID(require_defined(input));
  ASSAY_TRY(const std::int64_t base, bound.integer(1, 10));
  if (base != 0 && (base < 2 || base > 36)) return wrong("int takes a base from 2 to 36");
  const Value otherwise = bound.value_or(0, std::int64_t{0});
  std::int64_t of_bool = 0;
  if (const std::int64_t* integer = as_integer(input, of_bool)) return Value(*integer);
  if (const double* number = as<double>(input)) return std::isfinite(*number) ? integer_of(*number) : Filtered(otherwise);
  const Text* text = as<Text>(input);
  if (text == nullptr) return otherwise;
  ASSAY_TRY_VOID(machine.spend(text->bytes.size()));
  if (const auto integer = parse_integer(text->bytes, static_cast<int>(base))) return Value(*integer);
  if (const auto number = parse_float(text->bytes); number && std::isfinite(*number)) return integer_of(*number);
  return otherwise;
}

Filtered to_float(Machine&, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"default"}));
  ASSAY_TRY_VOID(require_defined(input));
  double number = 0;
  if (as_number(input, number)) return Value(number);
  if (const Text* text = as<Text>(input))
    if (const auto parsed = parse_float(text->bytes)) return Value(*parsed);
  return bound.value_or(0, 0.0);
}

Filtered absolute(Machine& machine, const Value& input, const Arguments&) {
  if (const double* number = as<double>(input)) return Value(std::fabs(*number));
  double number = 0;
  if (!as_number(input, number)) return wrong(is_undefined(input) ? why(*as<Undefined>(input)) : fmt::format("a {} has no absolute value", type_name(input)));
  return machine.calculate(number < 0 ? "-" : "+", Value(std::int64_t{0}), input);
}

Filtered round(Machine&, const Value& input, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"precision", "method"}));
  ASSAY_TRY_VOID(require_defined(input));
  ASSAY_TRY(const std::int64_t precision, bound.integer(0, 0));
  ASSAY_TRY(const std::string_view method, bound.text(1, "common"));
  double number = 0;
  if (!as_number(input, number)) return wrong(fmt::format("a {} cannot be rounded", type_name(input)));
  if (precision < 0 || precision > 15) return wrong("round takes a precision from 0 to 15");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return Value(std::ceil(number * scale) / scale);
  if (method == "floor") return Value(std::floor(number * scale) / scale);
  if (method != "common") return wrong("round knows the methods common, ceil and floor");
  if (as<std::int64_t>(input) || as<bool>(input)) return input;
  // The nearest decimal, as printing finds it; halves go to the even digit, as in Python.
  return Value(std::strtod(fmt::format("{:.{}f}", number, precision).c_str(), nullptr));
}

constexpr std::array kRows = {
    FilterRow{"upper", change_text<to_upper>}, FilterRow{"lower", change_text<to_lower>}, FilterRow{"title", change_text<title_of_words>},
    FilterRow{"capitalize", change_text<capitalize>}, FilterRow{"string", string}, FilterRow{"trim", trim}, FilterRow{"replace", replace_text},
    FilterRow{"escape", escape}, FilterRow{"e", escape}, FilterRow{"forceescape", force_escape}, FilterRow{"safe", safe}, FilterRow{"indent", indent},
    FilterRow{"center", center}, FilterRow{"truncate", truncate}, FilterRow{"wordcount", word_count}, FilterRow{"urlencode", url_encode},
    FilterRow{"format", format}, FilterRow{"tojson", to_json_text}, FilterRow{"int", to_integer}, FilterRow{"float", to_float}, FilterRow{"abs", absolute},
    FilterRow{"round", round}};

// "1_000" without its underscores; nothing when they stand elsewhere than between digits.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
    } else if (i == 0 || i + 1 == text.size() || !std::isalnum(static_cast<unsigned char>(text[i - 1])) || !std::isalnum(static_cast<unsigned char>(text[i + 1]))) {
      return std::nullopt;
    }
  }
  return out;
}

}  // namespace

std::span<const FilterRow> text_filters() { return kRows; }

std::optional<std::int64_t> parse_integer(std::string_view text, int base) {
  const auto plain = without_underscores(strip(text, Side::both));
  if (!plain || plain->empty()) return std::nullopt;
  std::string_view digits = *plain;
  const bool is_negative = digits[0] == '-';
  if (digits[0] == '-' || digits[0] == '+') digits.remove_prefix(1);
  if (digits.size() > 2 && digits[0] == '0') {
    const char mark = static_cast<char>(std::tolower(static_cast<unsigned char>(digits[1])));
    const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    if (marked != 0 && (base == marked || base == 0)) {
      digits.remove_prefix(2);
      base = marked;
    }
  }
  if (base == 0) base = 10;
  if (digits.empty() || digits[0] == '-' || digits[0] == '+') return std::nullopt;
  const std::string signed_digits = (is_negative ? "-" : "") + std::string(digits);
  std::int64_t value = 0;
  const auto end = std::from_chars(signed_digits.data(), signed_digits.data() + signed_digits.size(), value, base);
  if (end.ec != std::errc() || end.ptr != signed_digits.data() + signed_digits.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_float(std::string_view text) {
  const auto plain = without_underscores(strip(text, Side::both));
  if (!plain || plain->empty()) return std::nullopt;
  std::string_view digits = *plain;
  const bool is_negative = digits[0] == '-';
  if (digits[0] == '-' || digits[0] == '+') digits.remove_prefix(1);
  if (digits.empty() || digits[0] == '-' || digits[0] == '+' || to_lower(digits).starts_with("nan(")) return std::nullopt;
  double value = 0;
  const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end.ptr != digits.data() + digits.size() || end.ec == std::errc::invalid_argument) return std::nullopt;
  if (end.ec == std::errc::result_out_of_range) value = std::strtod(std::string(digits).c_str(), nullptr);
  return is_negative ? -value : value;
}

}  // namespace assay::jinja
