// What went wrong and where: Code, Error, Result<T> and the early-return macro.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace assay {

enum class Code : std::uint8_t {
  io,           // the operating system refused (open, read, write, map)
  not_found,    // no such file, tensor, key
  truncated,    // the file ends before what it declares
  malformed,    // bytes break the format's rules
  unsupported,  // valid, but not something Assay can open or compute
  missing,      // a required key or tensor is absent
  type,         // a value has the wrong type
  shape,        // a tensor has the wrong shape
  range,        // a value is outside its range
  duplicate,    // the same name twice
  memory,       // not enough memory
  usage,        // the caller asked for something contradictory
  mismatch,     // an answer or hash differs from what it must be
  network,      // no answer, a broken one, or an answer that asks to come back later
  denied,       // the other side refuses: a licence to accept, a token, permissions
  space,        // the disk is full
  interrupted,  // stopped on request
};

std::string_view name_of(Code code);

// One failure. `subject` is the key, tensor or option concerned; `detail` says what is wrong and, after a semicolon,
// what to do about it; `file` and `offset` (bytes from the start of the file) say where, when known.
struct Error {
  Code code = Code::io;
  std::string subject;
  std::string detail;
  std::string file{};
  std::optional<std::uint64_t> offset{};

  // "FILE: SUBJECT: DETAIL (at byte OFFSET)"
  std::string message() const;
};

// Either a value or an Error. Result<> (= Result<Unit>) carries success only.
struct Unit {};

template <class T = Unit>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

inline Result<> success() { return Unit{}; }

#define ASSAY_CONCAT_(a, b) a##b
#define ASSAY_CONCAT(a, b) ASSAY_CONCAT_(a, b)
// ASSAY_TRY(auto x, f()): declares x from f()'s value or returns f()'s error from the enclosing function.
#define ASSAY_TRY(declaration, ...) ASSAY_TRY_(ASSAY_CONCAT(assay_result_, __LINE__), declaration, __VA_ARGS__)
#define ASSAY_TRY_(result, declaration, ...)            \
  auto result = (__VA_ARGS__);                          \
  if (!result) return std::move(result).error();        \
  declaration = std::move(result).value()
// The same for a Result<> whose success carries nothing.
#define ASSAY_TRY_VOID(...)                                                             \
  do {                                                                                  \
    if (auto assay_result = (__VA_ARGS__); !assay_result) return std::move(assay_result).error(); \
  } while (false)

}  // namespace assay
