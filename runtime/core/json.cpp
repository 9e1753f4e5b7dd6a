// Boost.JSON's event parser behind parse_json(), and the writer.
#include "runtime/core/json.h"

#include <boost/json/basic_parser_impl.hpp>

#include <charconv>
#include <cmath>
#include <functional>
#include <limits>

namespace assay {

std::optional<bool> Json::boolean() const {
  if (const bool* v = std::get_if<bool>(&value_)) return *v;
  return std::nullopt;
}

std::optional<double> Json::number() const {
  if (const auto* v = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*v);
  if (const auto* v = std::get_if<std::uint64_t>(&value_)) return static_cast<double>(*v);
  if (const auto* v = std::get_if<double>(&value_)) return *v;
  return std::nullopt;
}

std::optional<std::int64_t> Json::integer() const {
  if (const auto* v = std::get_if<std::int64_t>(&value_)) return *v;
  if (const auto* v = std::get_if<std::uint64_t>(&value_);
      v && *v <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return static_cast<std::int64_t>(*v);
  return std::nullopt;
}

std::optional<std::uint64_t> Json::unsigned_integer() const {
  if (const auto* v = std::get_if<std::uint64_t>(&value_)) return *v;
  if (const auto* v = std::get_if<std::int64_t>(&value_); v && *v >= 0) return static_cast<std::uint64_t>(*v);
  return std::nullopt;
}

const Json* Json::find(std::string_view key) const {
  const Object* members = object();
  if (members == nullptr) return nullptr;
  for (auto member = members->rbegin(); member != members->rend(); ++member)
    if (member->first == key) return &member->second;
  return nullptr;
}

Json& Json::set(std::string_view key, Json value) {
  if (is_null()) value_ = Object{};
  std::get<Object>(value_).emplace_back(std::string(key), std::move(value));
  return *this;
}

Json& Json::push(Json value) {
  if (is_null()) value_ = Array{};
  std::get<Array>(value_).push_back(std::move(value));
  return *this;
}

namespace {

namespace bj = boost::json;

// Boost's events with texts put together from their parts.
struct Adapter {
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();

  using Problem = bj::error_code;
  using View = bj::string_view;

  // Written out for clang 14, which cannot make an aggregate from arguments in parentheses.
  Adapter(JsonEvents& to, std::string_view text) : events(to), document(text) {}

  JsonEvents& events;
  std::string_view document;
  std::string parts;
  bool is_stopped = false;

  bool tell(bool goes_on, Problem& problem) {
    if (goes_on) return true;
    is_stopped = true;
    problem = bj::make_error_code(bj::error::exception);  // ends the parser; is_stopped says why
    return false;
  }
  std::string_view whole(View last) {
    if (parts.empty()) return {last.data(), last.size()};
    parts.append(last.data(), last.size());
    return parts;
  }
  std::optional<std::size_t> place_of(std::string_view text) const {
    if (std::less<>()(text.data(), document.data()) ||
        !std::less_equal<>()(text.data() + text.size(), document.data() + document.size()))
      return std::nullopt;
    return static_cast<std::size_t>(text.data() - document.data());
  }

  bool on_document_begin(Problem&) { return true; }
  bool on_document_end(Problem&) { return true; }
  bool on_object_begin(Problem& problem) { return tell(events.begin_object(), problem); }
  bool on_object_end(std::size_t, Problem& problem) { return tell(events.end_object(), problem); }
  bool on_array_begin(Problem& problem) { return tell(events.begin_array(), problem); }
  bool on_array_end(std::size_t, Problem& problem) { return tell(events.end_array(), problem); }
  bool on_key_part(View part, std::size_t, Problem&) { return parts.append(part.data(), part.size()), true; }
  bool on_key(View part, std::size_t, Problem& problem) {
    const std::string_view text = whole(part);
    const bool goes_on = tell(events.key(text, place_of(text)), problem);
    parts.clear();
    return goes_on;
  }
  bool on_string_part(View part, std::size_t, Problem&) { return parts.append(part.data(), part.size()), true; }
  bool on_string(View part, std::size_t, Problem& problem) {
    const bool goes_on = tell(events.string(whole(part)), problem);
    parts.clear();
    return goes_on;
  }
  bool on_number_part(View, Problem&) { return true; }
  bool on_int64(std::int64_t value, View, Problem& problem) { return tell(events.scalar(value), problem); }
  bool on_uint64(std::uint64_t value, View, Problem& problem) { return tell(events.scalar(value), problem); }
  bool on_double(double value, View, Problem& problem) { return tell(events.scalar(value), problem); }
  bool on_bool(bool value, Problem& problem) { return tell(events.scalar(value), problem); }
  bool on_null(Problem& problem) { return tell(events.scalar(nullptr), problem); }
  bool on_comment_part(View, Problem&) { return true; }
  bool on_comment(View, Problem&) { return true; }
};

// Builds the tree: `open_` holds the containers not yet closed, `keys_` the key each object waits with.
class TreeBuilder final : public JsonEvents {
 public:
  explicit TreeBuilder(std::size_t max_bytes) : bytes_left_(max_bytes) {}
  Json take() { return std::move(root_); }

  bool begin_object() override { return open_.emplace_back(Json::Object{}), true; }
  bool end_object() override { return close(); }
  bool begin_array() override { return open_.emplace_back(Json::Array{}), true; }
  bool end_array() override { return close(); }
  bool key(std::string_view text, std::optional<std::size_t>) override {
    return keys_.emplace_back(text), spend(text.size());
  }
  bool string(std::string_view text) override { return spend(text.size()) && place(Json(text)); }
  bool scalar(const Json& value) override { return place(value); }

 private:
  bool spend(std::size_t bytes) {
    if (bytes > bytes_left_) return false;
    bytes_left_ -= bytes;
    return true;
  }
  // Twice the size of a member: vectors grow by doubling.
  bool place(Json value) {
    if (!spend(2 * sizeof(Json::Object::value_type))) return false;
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (Json::Array* elements = open_.back().array()) {
      elements->push_back(std::move(value));
    } else {
      open_.back().object()->emplace_back(std::move(keys_.back()), std::move(value));
      keys_.pop_back();
    }
    return true;
  }
  bool close() {
    Json done = std::move(open_.back());
    open_.pop_back();
    return place(std::move(done));
  }

  std::size_t bytes_left_;
  Json root_;
  std::vector<Json> open_;
  std::vector<std::string> keys_;
};

}  // namespace

Result<> read_json(std::string_view text, JsonEvents& events, JsonLimits limits) {
  bj::parse_options options;
  options.max_depth = limits.max_depth;
  bj::basic_parser<Adapter> parser(options, events, text);
  bj::error_code problem;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), problem);
  if (parser.handler().is_stopped) return Error{Code::interrupted, "JSON", "reading was stopped", "", used};
  if (problem) return Error{Code::malformed, "JSON", problem.message(), "", used};
  const std::size_t rest = text.find_first_not_of(" \t\r\n", used);
  if (rest != std::string_view::npos)
    return Error{Code::malformed, "JSON", "text after the end of the document", "", rest};
  return success();
}

Result<Json> parse_json(std::string_view text, JsonLimits limits) {
  TreeBuilder tree(limits.max_tree_bytes);
  auto read = read_json(text, tree, limits);
  if (read) return tree.take();
  Error error = std::move(read).error();
  if (error.code == Code::interrupted)
    error.code = Code::range, error.detail = "the document takes more memory than such a file may";
  return error;
}

std::string quote_json(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    switch (c) {
      case '"':
        out += "\\\"";
        continue;
      case '\\':
        out += "\\\\";
        continue;
      case '\n':
        out += "\\n";
        continue;
      case '\r':
        out += "\\r";
        continue;
      case '\t':
        out += "\\t";
        continue;
      default:
        break;
    }
    if (c < 0x20 || c == '<' || c == 0x7f) {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else if (c == 0xe2 && text.substr(i, 3) == "\u2028") {
      out += "\\u2028", i += 2;
    } else if (c == 0xe2 && text.substr(i, 3) == "\u2029") {
      out += "\\u2029", i += 2;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out += '"';
}

namespace {

void append_number(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value);
  out.append(digits, end.ptr);
}

void append(std::string& out, const Json& value, int indent, int level) {
  const auto new_line = [&](int depth) {
    if (indent > 0) out += '\n', out.append(static_cast<std::size_t>(indent) * static_cast<std::size_t>(depth), ' ');
  };
  if (const Json::Array* elements = value.array()) {
    out += '[';
    for (std::size_t i = 0; i < elements->size(); ++i) {
      if (i > 0) out += ',';
      new_line(level + 1);
      append(out, (*elements)[i], indent, level + 1);
    }
    if (!elements->empty()) new_line(level);
    out += ']';
  } else if (const Json::Object* members = value.object()) {
    out += '{';
    for (std::size_t i = 0; i < members->size(); ++i) {
      if (i > 0) out += ',';
      new_line(level + 1);
      out += quote_json((*members)[i].first);
      out += indent > 0 ? ": " : ":";
      append(out, (*members)[i].second, indent, level + 1);
    }
    if (!members->empty()) new_line(level);
    out += '}';
  } else if (const std::string* text = value.string()) {
    out += quote_json(*text);
  } else if (auto truth = value.boolean()) {
    out += *truth ? "true" : "false";
  } else if (auto integer = value.integer()) {
    out += std::to_string(*integer);
  } else if (auto large = value.unsigned_integer()) {
    out += std::to_string(*large);
  } else if (auto number = value.number()) {
    append_number(out, *number);
  } else {
    out += "null";
  }
}

}  // namespace

std::string to_text(const Json& value, int indent) {
  std::string out;
  append(out, value, indent, 0);
  return out;
}

}  // namespace assay
