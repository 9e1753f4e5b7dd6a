// Described records: one fields() per struct, from which JSON both ways and table columns derive.
//
//   struct Sample {
//     std::string name;
//     double load_ms = 0;
//     static constexpr void fields(auto visit) {
//       visit("name", "", Better::none, &Sample::name);
//       visit("load_ms", "ms", Better::lower, &Sample::load_ms);
//     }
//   };
//
// A member may be bool, an integer, double, std::string, an enum with enum_names(), std::optional or std::vector of these,
// or another described struct. A value that is not known is an empty optional (JSON null), never 0.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/json.h"

namespace assay {

// Which direction of a change is good: none for settings and facts.
enum class Better : std::uint8_t { none, higher, lower };

template <class Struct, class Member>
struct Field {
  using Type = Member;
  std::string_view name;  // JSON key and column name, with the unit: "load_ms"
  std::string_view unit;  // for people: "ms", "tok/s", "B"; empty for text and counts
  Better better;
  Member Struct::* member;
};

namespace describe_detail {
// A visitor to ask with whether a type has fields.
struct Nobody {
  void operator()(std::string_view, std::string_view, Better, auto) const {}
};
}  // namespace describe_detail

template <class T>
concept Described = requires { T::fields(describe_detail::Nobody{}); };

// An enum takes part by a function beside it, found by argument: the names of its values 0, 1, 2 ...
//   constexpr std::span<const std::string_view> enum_names(Status);
template <class T>
concept NamedEnum = std::is_enum_v<T> && requires(T value) {
  { enum_names(value) } -> std::convertible_to<std::span<const std::string_view>>;
};

// Calls visit(field) for every field of T, in order.
template <Described T, class Visit>
constexpr void for_each_field(Visit&& visit) {
  T::fields([&]<class Member>(std::string_view name, std::string_view unit, Better better, Member T::* member) {
    visit(Field<T, Member>{name, unit, better, member});
  });
}

namespace describe_detail {

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;

inline Error wrong_type(std::string_view path, std::string_view wanted) {
  return Error{Code::type, std::string(path), "must be " + std::string(wanted)};
}
inline std::string join(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : std::string(path) + "." + std::string(name);
}

}  // namespace describe_detail

template <class T>
Json to_json(const T& value) {
  if constexpr (Described<T>) {
    Json out{Json::Object{}};
    for_each_field<T>([&](const auto& field) { out.set(field.name, to_json(value.*field.member)); });
    return out;
  } else if constexpr (describe_detail::kIsOptional<T>) {
    return value ? to_json(*value) : Json();
  } else if constexpr (describe_detail::kIsVector<T>) {
    Json out{Json::Array{}};
    for (const auto& element : value) out.push(to_json(element));
    return out;
  } else if constexpr (NamedEnum<T>) {
    return Json(std::span<const std::string_view>(enum_names(value))[static_cast<std::size_t>(value)]);
  } else if constexpr (std::is_same_v<T, bool>) {
    return Json(value);
  } else if constexpr (std::signed_integral<T>) {
    return Json(static_cast<std::int64_t>(value));
  } else if constexpr (std::unsigned_integral<T>) {
    return Json(static_cast<std::uint64_t>(value));
  } else if constexpr (std::floating_point<T>) {
    return std::isfinite(value) ? Json(static_cast<double>(value)) : Json();
  } else {
    static_assert(std::is_convertible_v<T, std::string>, "this member type has no JSON form");
    return Json(std::string(value));
  }
}

// Reads a T. Keys that T does not know are ignored and keys that are absent keep T's default, so that records of a newer or
// older build still read; a value of the wrong type is an error whose subject is the path to it ("settings.threads").
template <class T>
Result<T> from_json(const Json& json, std::string_view path = {}) {
  using describe_detail::wrong_type;
  if constexpr (Described<T>) {
    if (!json.is_object()) return wrong_type(path, "an object");
    T out;
    std::optional<Error> problem;
    for_each_field<T>([&](const auto& field) {
      using Member = typename std::remove_cvref_t<decltype(field)>::Type;
      const Json* found = json.find(field.name);
      if (problem || found == nullptr) return;
      auto member = from_json<Member>(*found, describe_detail::join(path, field.name));
      if (member) out.*field.member = std::move(*member);
      else problem = std::move(member).error();
    });
    if (problem) return std::move(*problem);
    return out;
  } else if constexpr (describe_detail::kIsOptional<T>) {
    if (json.is_null()) return T{};
    ASSAY_TRY(auto value, from_json<typename T::value_type>(json, path));
    return T(std::move(value));
  } else if constexpr (describe_detail::kIsVector<T>) {
    const Json::Array* elements = json.array();
    if (elements == nullptr) return wrong_type(path, "a list");
    T out;
    out.reserve(elements->size());
    for (const Json& element : *elements) {
      ASSAY_TRY(auto value, from_json<typename T::value_type>(element, path));
      out.push_back(std::move(value));
    }
    return out;
  } else if constexpr (NamedEnum<T>) {
    const std::span<const std::string_view> names = enum_names(T{});
    std::string known;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (json.string() != nullptr && *json.string() == names[i]) return static_cast<T>(i);
      known += (i ? ", " : "") + std::string(names[i]);
    }
    return wrong_type(path, "one of " + known);
  } else if constexpr (std::is_same_v<T, bool>) {
    if (auto value = json.boolean()) return *value;
    return wrong_type(path, "true or false");
  } else if constexpr (std::integral<T>) {
    if constexpr (std::is_signed_v<T>) {
      if (auto value = json.integer(); value && std::in_range<T>(*value)) return static_cast<T>(*value);
    } else {
      if (auto value = json.unsigned_integer(); value && std::in_range<T>(*value)) return static_cast<T>(*value);
    }
    return wrong_type(path, "an integer in range");
  } else if constexpr (std::floating_point<T>) {
    if (json.is_null()) return std::numeric_limits<T>::quiet_NaN();  // how NaN and infinity were written
    if (auto value = json.number()) return static_cast<T>(*value);
    return wrong_type(path, "a number");
  } else {
    if (const std::string* text = json.string()) return T(*text);
    return wrong_type(path, "text");
  }
}

// One column of the flat form of a record: nested structs give "settings.threads"; lists are one column each.
struct Column {
  std::string name;
  std::string_view unit;
  Better better = Better::none;
};

template <Described T>
std::vector<Column> columns_of(std::string_view prefix = {}) {
  std::vector<Column> out;
  for_each_field<T>([&](const auto& field) {
    using Member = typename std::remove_cvref_t<decltype(field)>::Type;
    std::string name = describe_detail::join(prefix, field.name);
    if constexpr (Described<Member>) {
      for (Column& column : columns_of<Member>(name)) out.push_back(std::move(column));
    } else {
      out.push_back({std::move(name), field.unit, field.better});
    }
  });
  return out;
}

// The values of those columns, in the same order.
template <Described T>
std::vector<Json> cells_of(const T& value) {
  std::vector<Json> out;
  for_each_field<T>([&](const auto& field) {
    using Member = typename std::remove_cvref_t<decltype(field)>::Type;
    if constexpr (Described<Member>) {
      for (Json& cell : cells_of(value.*field.member)) out.push_back(std::move(cell));
    } else {
      out.push_back(to_json(value.*field.member));
    }
  });
  return out;
}

}  // namespace assay

// The two conversions of a large record take long to compile: ASSAY_JSON_ELSEWHERE(T) below its definition keeps the
// files that call them from doing so, ASSAY_JSON_HERE(T) in one source file does it. Both inside namespace assay.
#define ASSAY_JSON_ELSEWHERE(T)           \
  extern template Json to_json(const T&); \
  extern template Result<T> from_json(const Json&, std::string_view);
#define ASSAY_JSON_HERE(T)         \
  template Json to_json(const T&); \
  template Result<T> from_json(const Json&, std::string_view);
