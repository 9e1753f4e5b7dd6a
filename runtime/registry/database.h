// Database: one SQLite file, statements with typed values, and the numbered migrations that bring it up to date.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/function_ref.h"

namespace assay {

using DatabaseValue = std::variant<std::monostate, std::int64_t, double, std::string>;  // monostate: NULL

// Steps that were once released never change; new ones are added at the end, numbered from 1 without gaps.
struct Migration {
  int number = 0;
  std::string_view name;
  std::string_view sql;
};

class Database {
 public:
  // Opens or creates the file and the folders above it, waits up to ten seconds for other processes, and carries out
  // the migrations it has not seen, each in a transaction of its own. Errors: io, malformed (not a database),
  // unsupported (made by a newer version).
  static Result<Database> open(const std::filesystem::path& path, std::span<const Migration> migrations);
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  // Calls `row` for every row of the result, which may be none; false stops.
  using Row = std::span<const DatabaseValue>;
  Result<> query(std::string_view sql, std::span<const DatabaseValue> values, FunctionRef<bool(Row)> row);
  Result<> run(std::string_view sql, std::span<const DatabaseValue> values = {});

  // All of `body` or nothing of it.
  Result<> transaction(FunctionRef<Result<>()> body);

  // The number of the last migration carried out.
  Result<int> version();

 private:
  struct State;
  explicit Database(std::unique_ptr<State> state);
  Result<> set_up(std::span<const Migration> migrations);
  Result<> migrate(std::span<const Migration> migrations);
  Error failure(std::string_view what) const;

  std::unique_ptr<State> state_;
};

// Reading of values: empty text and nothing where the column is NULL or of another kind.
std::string text_of(const DatabaseValue& value);
std::optional<std::int64_t> integer_of(const DatabaseValue& value);

}  // namespace assay
