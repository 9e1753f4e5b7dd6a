// Yaml: a small document tree that knows the line and column of every key and value, and its reading into described
// structs. yaml-cpp parses.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/describe.h"
#include "runtime/core/error.h"

namespace assay {

struct YamlPlace {
  int line = 0, column = 0;  // from 1
};

struct YamlMember;

struct YamlNode {
  enum class Kind : std::uint8_t { null, scalar, list, map };
  Kind kind = Kind::null;
  YamlPlace place;
  std::string text;                 // of a scalar
  bool is_quoted = false;           // "5" is text, 5 is a number or text
  std::vector<YamlNode> elements;   // of a list
  std::vector<YamlMember> members;  // of a map, in order, keys unique

  const YamlNode* find(std::string_view key) const;
};

struct YamlMember {
  std::string key;
  YamlPlace place;  // of the key
  YamlNode value;
};

// One document of a page or two: at most a megabyte, 32 levels and 100 000 nodes. Anchors, aliases and keys that stand
// twice are refused. Errors: malformed, whose subject is "NAME:LINE:COLUMN".
Result<YamlNode> parse_yaml(std::string_view text, std::string_view name);
// Errors: not_found, io and those of parse_yaml.
Result<YamlNode> read_yaml_file(const std::filesystem::path& path);

// One thing that is wrong with a document.
struct YamlProblem {
  std::string key;  // "hardware.memory_bytes"
  int line = 0, column = 0;
  std::string message;

  static constexpr void fields(auto visit) {
    using P = YamlProblem;
    visit("key", "", Better::none, &P::key);
    visit("line", "", Better::none, &P::line);
    visit("column", "", Better::none, &P::column);
    visit("message", "", Better::none, &P::message);
  }
};
// "NAME:4:10: hardware.memory: must be ..."
std::string describe(const YamlProblem& problem, std::string_view name);

// "4GB", "1.5 GiB", "4096": powers of 1000, with "i" of 1024. Nothing when it is no size.
std::optional<std::uint64_t> bytes_from_text(std::string_view text);

// "; did you mean "memory"?" when `name` is nearly one of `known`, else nothing.
std::string near_name(std::string_view name, const std::vector<std::string_view>& known);

namespace yaml_detail {

std::optional<bool> boolean(const YamlNode& node);
std::optional<std::int64_t> integer(const YamlNode& node);
std::optional<double> number(const YamlNode& node);
// near_name(), or all that is known.
std::string suggestion(std::string_view name, const std::vector<std::string_view>& known);

struct Reader {
  std::vector<YamlProblem>& problems;
  void wrong(const std::string& path, YamlPlace place, std::string message) {
    problems.push_back({path, place.line, place.column, std::move(message)});
  }
};

template <class T>
void read(Reader& reader, const YamlNode& node, T& out, const std::string& path, std::string_view unit) {
  const auto wrong = [&](std::string wanted) { reader.wrong(path, node.place, "must be " + std::move(wanted)); };
  if constexpr (Described<T>) {
    if (node.kind != YamlNode::Kind::map) return wrong("a map of \"key: value\" lines");
    std::vector<std::string_view> names;
    for_each_field<T>([&](const auto& field) { names.push_back(field.name); });
    for (const YamlMember& member : node.members) {
      const std::string key = path.empty() ? member.key : path + "." + member.key;
      bool is_known = false;
      for_each_field<T>([&](const auto& field) {
        if (field.name != member.key) return;
        is_known = true;
        read(reader, member.value, out.*field.member, key, field.unit);
      });
      if (!is_known) reader.wrong(key, member.place, "is not a key that is known here" + suggestion(member.key, names));
    }
  } else if constexpr (describe_detail::kIsOptional<T>) {
    if (node.kind == YamlNode::Kind::null) return out.reset();
    read(reader, node, out.emplace(), path, unit);
  } else if constexpr (describe_detail::kIsVector<T>) {
    if (node.kind != YamlNode::Kind::list) return wrong("a list");
    out.clear();
    for (std::size_t i = 0; i < node.elements.size(); ++i)
      read(reader, node.elements[i], out.emplace_back(), path + "[" + std::to_string(i + 1) + "]", unit);
  } else if constexpr (NamedEnum<T>) {
    const std::span<const std::string_view> names = enum_names(T{});
    for (std::size_t i = 0; i < names.size(); ++i)
      if (node.kind == YamlNode::Kind::scalar && node.text == names[i]) return void(out = static_cast<T>(i));
    std::string known;
    for (const std::string_view name : names) known += (known.empty() ? "" : ", ") + std::string(name);
    wrong("one of " + known);
  } else if constexpr (std::is_same_v<T, bool>) {
    if (const auto value = boolean(node))
      out = *value;
    else
      wrong("true or false");
  } else if constexpr (std::integral<T>) {
    std::optional<std::int64_t> value = integer(node);
    if (unit == "B" && !value && node.kind == YamlNode::Kind::scalar)
      if (const auto bytes = bytes_from_text(node.text); bytes && std::in_range<std::int64_t>(*bytes))
        value = static_cast<std::int64_t>(*bytes);
    if (value && std::in_range<T>(*value))
      out = static_cast<T>(*value);
    else
      wrong(unit == "B"           ? "a size, such as 4GB or 512MiB"
            : std::is_signed_v<T> ? "a whole number"
                                  : "a whole number, 0 or more");
  } else if constexpr (std::floating_point<T>) {
    if (const auto value = number(node))
      out = static_cast<T>(*value);
    else
      wrong("a number");
  } else {
    if (node.kind == YamlNode::Kind::scalar)
      out = node.text;
    else
      wrong("text");
  }
}

}  // namespace yaml_detail

// Reads the keys that stand in `node` into `out` and leaves the others as they are; every problem is added to the list.
template <Described T>
void read_yaml(const YamlNode& node, T& out, std::vector<YamlProblem>& problems, const std::string& path = {}) {
  yaml_detail::Reader reader{problems};
  yaml_detail::read(reader, node, out, path, "");
}

}  // namespace assay
