// SQLite behind Database.
#include "runtime/registry/database.h"

#include <sqlite3.h>

#include <chrono>
#include <thread>
#include <utility>

namespace assay {

namespace {

constexpr int kWaitMs = 10'000;  // for a lock that another process holds

// A prepared statement, finished when it goes.
struct Statement {
  sqlite3_stmt* handle = nullptr;
  Statement() = default;
  Statement(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(handle); }
};

int bind(sqlite3_stmt* statement, int place, const DatabaseValue& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return sqlite3_bind_int64(statement, place, *whole);
  if (const auto* real = std::get_if<double>(&value)) return sqlite3_bind_double(statement, place, *real);
  if (const auto* text = std::get_if<std::string>(&value))
    return sqlite3_bind_text64(statement, place, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
  return sqlite3_bind_null(statement, place);
}

DatabaseValue column(sqlite3_stmt* statement, int place) {
  switch (sqlite3_column_type(statement, place)) {
    case SQLITE_INTEGER:
      return sqlite3_column_int64(statement, place);
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, place);
    case SQLITE_NULL:
      return {};
    default:
      break;
  }
  const auto* text = static_cast<const char*>(sqlite3_column_blob(statement, place));
  return std::string(text ? text : "", static_cast<std::size_t>(sqlite3_column_bytes(statement, place)));
}

}  // namespace

struct Database::State {
  sqlite3* handle = nullptr;
  std::filesystem::path path;
  State() = default;
  State(const State&) = delete;
  ~State() { sqlite3_close(handle); }
};

Database::Database(std::unique_ptr<State> state) : state_(std::move(state)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

Error Database::failure(std::string_view what) const {
  const int code = sqlite3_errcode(state_->handle);
  const std::string detail = std::string(what) + ": " + sqlite3_errmsg(state_->handle);
  if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
    return Error{Code::malformed, "", detail + "; move it away, it is made again from the results",
                 state_->path.string()};
  return Error{Code::io, "", detail, state_->path.string()};
}

Result<Database> Database::open(const std::filesystem::path& path, std::span<const Migration> migrations) {
  std::error_code problem;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), problem);
  auto state = std::make_unique<State>();
  state->path = path;
  const int opened = sqlite3_open_v2(path.c_str(), &state->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  if (state->handle == nullptr) return Error{Code::memory, "", "no memory for the database", path.string()};
  Database out(std::move(state));
  if (opened != SQLITE_OK) return out.failure("cannot open the database");
  sqlite3_busy_timeout(out.state_->handle, kWaitMs);
  // Changing the journal's mode does not wait for other processes by itself.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kWaitMs);
  for (;;) {
    auto done = out.set_up(migrations);
    if (done) return out;
    if ((sqlite3_errcode(out.state_->handle) & 0xff) != SQLITE_BUSY || std::chrono::steady_clock::now() > deadline)
      return std::move(done).error();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Result<> Database::set_up(std::span<const Migration> migrations) {
  ASSAY_TRY_VOID(run("PRAGMA foreign_keys = ON"));
  ASSAY_TRY_VOID(query("PRAGMA journal_mode = WAL", {}, [](Row) { return true; }));
  return migrate(migrations);
}

Result<> Database::query(std::string_view sql, std::span<const DatabaseValue> values, FunctionRef<bool(Row)> row) {
  Statement statement;
  if (sqlite3_prepare_v2(state_->handle, sql.data(), static_cast<int>(sql.size()), &statement.handle, nullptr) !=
      SQLITE_OK)
    return failure("cannot prepare a statement");
  for (std::size_t i = 0; i < values.size(); ++i)
    if (bind(statement.handle, static_cast<int>(i) + 1, values[i]) != SQLITE_OK) return failure("cannot bind a value");
  std::vector<DatabaseValue> cells;
  for (;;) {
    const int step = sqlite3_step(statement.handle);
    if (step == SQLITE_DONE) return success();
    if (step != SQLITE_ROW) return failure("cannot carry out a statement");
    cells.clear();
    for (int i = 0; i < sqlite3_column_count(statement.handle); ++i) cells.push_back(column(statement.handle, i));
    if (!row(cells)) return success();
  }
}

Result<> Database::run(std::string_view sql, std::span<const DatabaseValue> values) {
  return query(sql, values, [](Row) { return true; });
}

Result<> Database::transaction(FunctionRef<Result<>()> body) {
  ASSAY_TRY_VOID(run("BEGIN IMMEDIATE"));
  Result<> done = body();
  if (done) done = run("COMMIT");
  if (!done) (void)run("ROLLBACK");
  return done;
}

Result<int> Database::version() {
  int out = 0;
  ASSAY_TRY_VOID(query("SELECT max(number) FROM migrations", {}, [&](Row row) {
    out = static_cast<int>(integer_of(row[0]).value_or(0));
    return false;
  }));
  return out;
}

Result<> Database::migrate(std::span<const Migration> migrations) {
  ASSAY_TRY_VOID(run(
      "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, time TEXT NOT NULL)"));
  const int newest = migrations.empty() ? 0 : migrations.back().number;
  ASSAY_TRY(const int before, version());
  if (before > newest)
    return Error{Code::unsupported, "",
                 "was made by a newer version of assay (step " + std::to_string(before) + ", this one knows " +
                     std::to_string(newest) + "); use that version",
                 state_->path.string()};
  for (const Migration& migration : migrations) {
    if (migration.number <= before) continue;
    ASSAY_TRY_VOID(transaction([&]() -> Result<> {
      // Another process may have been faster.
      ASSAY_TRY(const int now, version());
      if (now >= migration.number) return success();
      if (sqlite3_exec(state_->handle, std::string(migration.sql).c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
        return failure("cannot bring the database up to date");
      const DatabaseValue values[] = {std::int64_t{migration.number}, std::string(migration.name)};
      return run("INSERT INTO migrations (number, name, time) VALUES (?, ?, datetime('now'))", values);
    }));
  }
  return success();
}

std::string text_of(const DatabaseValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text ? *text : std::string();
}

std::optional<std::int64_t> integer_of(const DatabaseValue& value) {
  const auto* whole = std::get_if<std::int64_t>(&value);
  return whole ? std::optional(*whole) : std::nullopt;
}

}  // namespace assay
