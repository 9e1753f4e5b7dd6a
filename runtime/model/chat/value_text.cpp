// Values as text: str(), repr() and json.dumps() of Python.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "runtime/model/chat/text.h"
#include "runtime/model/chat/value.h"
#include "runtime/model/tokenizer/utf8.h"

namespace assay::jinja {

namespace {

constexpr int kMaxDepth = 100;

struct Writer {
  std::uint64_t limit_bytes;
  std::string out{};

  // Errors: memory, range; asked after every value.
  Result<> check(int depth) const {
    if (out.size() > limit_bytes) return too_long();
    if (depth > kMaxDepth) return Error{Code::range, "value", "lists and mappings are nested too deeply"};
    return success();
  }
};

void write_quoted(std::string& out, std::string_view text) {
  const char quote = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
  out += quote;
  for (const std::string_view character : characters(text)) {
    const auto byte = static_cast<unsigned char>(character[0]);
    if (character[0] == quote || character[0] == '\\')
      out += '\\', out += character;
    else if (character == "\n")
      out += "\\n";
    else if (character == "\r")
      out += "\\r";
    else if (character == "\t")
      out += "\\t";
    else if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else if (byte == 0xc2 && (static_cast<unsigned char>(character[1]) <= 0xa0 || static_cast<unsigned char>(character[1]) == 0xad))
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(character[1]));  // U+0080 to U+00A0 and the soft hyphen
    else
      out += character;
  }
  out += quote;
}

Result<> write_literal(Writer& to, const Value& value, int depth);

Result<> write_items(Writer& to, const std::vector<Value>& items, int depth) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) to.out += ", ";
    ASSAY_TRY_VOID(write_literal(to, items[i], depth + 1));
  }
  return success();
}

Result<> write_list(Writer& to, const List& list, int depth) {
  switch (list.form) {
    case ListForm::generator: to.out += fmt::format("<generator object {}>", list.name); return success();
    case ListForm::range: {
      const auto item = [&](std::size_t i) { return std::get<std::int64_t>(list.items[i]); };
      const std::int64_t first = list.items.empty() ? 0 : item(0), step = list.items.size() > 1 ? item(1) - first : 1;
      const std::int64_t end = first + step * static_cast<std::int64_t>(list.items.size());
      to.out += step == 1 ? fmt::format("range({}, {})", first, end) : fmt::format("range({}, {}, {})", first, end, step);
      return success();
    }
    case ListForm::tuple:
      to.out += '(';
      ASSAY_TRY_VOID(write_items(to, list.items, depth));
      to.out += list.items.size() == 1 ? ",)" : ")";
      return success();
    case ListForm::view:
      to.out += list.name;
      to.out += "([";
      ASSAY_TRY_VOID(write_items(to, list.items, depth));
      to.out += "])";
      return success();
    case ListForm::list: break;
  }
  to.out += '[';
  ASSAY_TRY_VOID(write_items(to, list.items, depth));
  to.out += ']';
  return success();
}

Result<> write_dict(Writer& to, const Dict& dict, int depth) {
  to.out += dict.is_namespace ? "<Namespace {" : "{";
  bool is_first = true;
  for (const auto& [key, value] : dict.entries) {
    if (!is_first) to.out += ", ";
    is_first = false;
    ASSAY_TRY_VOID(write_literal(to, key, depth + 1));
    to.out += ": ";
    ASSAY_TRY_VOID(write_literal(to, value, depth + 1));
  }
  to.out += dict.is_namespace ? "}>" : "}";
  return success();
}

Result<> write_literal(Writer& to, const Value& value, int depth) {
  ASSAY_TRY_VOID(to.check(depth));
  if (const Text* text = as<Text>(value)) {
    if (text->is_safe) to.out += "Markup(";
    write_quoted(to.out, text->bytes);
    if (text->is_safe) to.out += ')';
  } else if (const bool* boolean = as<bool>(value)) {
    to.out += *boolean ? "True" : "False";
  } else if (const std::int64_t* integer = as<std::int64_t>(value)) {
    to.out += std::to_string(*integer);
  } else if (const double* number = as<double>(value)) {
    to.out += float_text(*number);
  } else if (is_none(value)) {
    to.out += "None";
  } else if (is_undefined(value)) {
    to.out += "Undefined";
  } else if (const List* list = as_list(value)) {
    return write_list(to, *list, depth);
  } else if (Dict* const* dict = std::get_if<Dict*>(&value)) {
    return write_dict(to, **dict, depth);
  } else {
    to.out += fmt::format("<{}>", type_name(value));
  }
  return to.check(depth);
}

void write_json_text(std::string& out, std::string_view text, bool ascii) {
  out += '"';
  for (const std::string_view character : characters(text)) {
    const auto byte = static_cast<unsigned char>(character[0]);
    switch (byte) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\f': out += "\\f"; break;
      case '\b': out += "\\b"; break;
      default:
        if (byte < 0x20) {
          out += fmt::format("\\u{:04x}", byte);
        } else if (byte < 0x80 || !ascii) {
          out += character;
        } else {
          const auto code = static_cast<std::uint32_t>(utf8::sequence_length(character) == 0 ? 0xfffd : utf8::decode(character, character.size()));
          if (code < 0x10000)
            out += fmt::format("\\u{:04x}", code);
          else
            out += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
        }
    }
  }
  out += '"';
}

// A key as JSON has it, or nothing when it cannot be one.
std::optional<std::string> json_key(const Value& key) {
  if (const Text* text = as<Text>(key)) return std::string(text->bytes);
  if (const bool* boolean = as<bool>(key)) return *boolean ? "true" : "false";
  if (is_none(key)) return "null";
  if (const std::int64_t* integer = as<std::int64_t>(key)) return std::to_string(*integer);
  if (const double* number = as<double>(key)) return float_text(*number);
  return std::nullopt;
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, std::uint64_t limit_bytes) : style_(style), to_{limit_bytes} {}

  Result<> write(const Value& value, int depth) {
    ASSAY_TRY_VOID(to_.check(depth));
    const List* list = as_list(value);
    if (const Text* text = as<Text>(value)) {
      write_json_text(to_.out, text->bytes, style_.ascii);
    } else if (const bool* boolean = as<bool>(value)) {
      to_.out += *boolean ? "true" : "false";
    } else if (const std::int64_t* integer = as<std::int64_t>(value)) {
      to_.out += std::to_string(*integer);
    } else if (const double* number = as<double>(value)) {
      to_.out += std::isnan(*number) ? "NaN" : std::isinf(*number) ? (*number < 0 ? "-Infinity" : "Infinity") : float_text(*number);
    } else if (is_none(value)) {
      to_.out += "null";
    } else if (list != nullptr && list->form <= ListForm::tuple) {
      ASSAY_TRY_VOID(write_list(*list, depth));
    } else if (const Dict* dict = as_dict(value)) {
      ASSAY_TRY_VOID(write_dict(*dict, depth));
    } else {
      return Error{Code::type, "tojson", fmt::format("JSON has nothing for {}", is_undefined(value) ? why(*as<Undefined>(value)) : fmt::format("a {}", type_name(value)))};
    }
    return to_.check(depth);
  }
  std::string take() { return std::move(to_.out); }

 private:
  void new_line(int depth) {
    if (style_.indent < 0) return;
    to_.out += '\n';
    to_.out.append(static_cast<std::size_t>(style_.indent) * static_cast<std::size_t>(depth), ' ');
  }
  Result<> write_list(const List& list, int depth) {
    to_.out += '[';
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) to_.out += style_.item_separator;
      new_line(depth + 1);
      ASSAY_TRY_VOID(write(list.items[i], depth + 1));
    }
    if (!list.items.empty()) new_line(depth);
    to_.out += ']';
    return success();
  }
  Result<> write_dict(const Dict& dict, int depth) {
    std::vector<std::pair<std::string, const Value*>> members;
    for (const auto& [key, value] : dict.entries) {
      auto name = json_key(key);
      if (!name) return Error{Code::type, "tojson", fmt::format("a {} cannot be a key in JSON", type_name(key))};
      members.emplace_back(std::move(*name), &value);
    }
    if (style_.sorts_keys) std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    to_.out += '{';
    bool is_first = true;
    for (const auto& [name, value] : members) {
      if (!is_first) to_.out += style_.item_separator;
      is_first = false;
      new_line(depth + 1);
      write_json_text(to_.out, name, style_.ascii);
      to_.out += style_.key_separator;
      ASSAY_TRY_VOID(write(*value, depth + 1));
    }
    if (!members.empty()) new_line(depth);
    to_.out += '}';
    return success();
  }

  const JsonStyle& style_;
  Writer to_;
};

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char digits[64];
  const auto shortest = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::scientific);
  std::string text(digits, shortest.ptr);
  const std::size_t e = text.find('e');
  const int exponent = std::atoi(text.c_str() + e + 1);
  if (exponent < -4 || exponent >= 16) return text;  // both write at least two digits of the exponent
  const auto plain = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed);
  text.assign(digits, plain.ptr);
  return text.find('.') == std::string::npos ? text + ".0" : text;
}

Result<std::string> to_text(const Value& value, std::uint64_t limit_bytes) {
  if (const Text* text = as<Text>(value)) return std::string(text->bytes);
  if (is_undefined(value)) return std::string();
  return to_literal(value, limit_bytes);
}

Result<std::string> to_literal(const Value& value, std::uint64_t limit_bytes) {
  Writer to{limit_bytes};
  ASSAY_TRY_VOID(write_literal(to, value, 0));
  return std::move(to.out);
}

Result<std::string> to_json(const Value& value, const JsonStyle& style, std::uint64_t limit_bytes) {
  JsonWriter writer(style, limit_bytes);
  ASSAY_TRY_VOID(writer.write(value, 0));
  return writer.take();
}

}  // namespace assay::jinja
