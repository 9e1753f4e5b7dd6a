// A damaged database is moved aside, once, however many processes notice.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <set>

#include "runtime/registry/registry.h"
#include "runtime/registry/schema.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

// Reading all of a file takes a second for every few hundred megabytes; beyond this, damage shows when its pages are
// needed.
constexpr std::uintmax_t kLargestChecked = 64 << 20;

Result<Database> open_checked(const fs::path& path) {
  ASSAY_TRY(Database database, Database::open(path, kMigrations));
  std::error_code ignored;
  std::string verdict = "ok";
  if (fs::file_size(path, ignored) <= kLargestChecked)
    ASSAY_TRY_VOID(database.query("PRAGMA quick_check(1)", {}, [&](Database::Row row) {
      verdict = text_of(row[0]);
      return false;
    }));
  if (verdict != "ok") return Error{Code::malformed, "", "is damaged (" + verdict + ")", path.string()};
  std::set<std::string> tables;
  ASSAY_TRY_VOID(database.query("SELECT name FROM sqlite_master WHERE type = 'table'", {}, [&](Database::Row row) {
    tables.insert(text_of(row[0]));
    return true;
  }));
  for (const char* table : {"results", "models", "model_files", "downloads", "usage", "settings"})
    if (!tables.contains(table))
      return Error{Code::malformed, "", std::string("has lost its table ") + table, path.string()};
  return database;
}

// Held while the object lives. Who opens the database shares it; who moves it aside has it alone: otherwise the -wal of
// a database that somebody has just made anew would be moved with the damaged one.
class Lock {
 public:
  Lock(const fs::path& path, int kind) : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (descriptor_ >= 0) ::flock(descriptor_, kind);
  }
  Lock(const Lock&) = delete;
  ~Lock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  int descriptor_;
};

std::string time_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32] = {};
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return text;
}

// assay.db.damaged-TIME, with a number where that is taken.
fs::path free_name(const fs::path& path) {
  const std::string base = path.string() + ".damaged-" + time_text();
  std::error_code ignored;
  fs::path out = base;
  for (int i = 2; fs::exists(out, ignored); ++i) out = base + "-" + std::to_string(i);
  return out;
}

}  // namespace

Result<OpenedDatabase> open_or_replace_database(const fs::path& home) {
  const fs::path path = home / "assay.db", lock_path = home / "assay.db.lock";
  std::error_code problem, ignored;
  fs::create_directories(home, ignored);
  const auto is_damaged = [](const Result<Database>& opened) {
    return !opened && opened.error().code == Code::malformed;
  };
  {
    const Lock lock(lock_path, LOCK_SH);
    auto opened = open_checked(path);
    if (opened) return OpenedDatabase{std::move(*opened), {}};
    if (!is_damaged(opened)) return std::move(opened).error();
  }
  const Lock lock(lock_path, LOCK_EX);
  auto opened = open_checked(path);  // another process may have been faster
  if (opened) return OpenedDatabase{std::move(*opened), {}};
  if (!is_damaged(opened)) return std::move(opened).error();
  const fs::path aside = free_name(path);
  fs::rename(path, aside, problem);
  if (problem) return Error{Code::io, "", "is damaged and cannot be moved aside: " + problem.message(), path.string()};
  for (const char* suffix : {"-wal", "-shm"}) fs::rename(path.string() + suffix, aside.string() + suffix, ignored);
  ASSAY_TRY(Database fresh, open_checked(path));
  return OpenedDatabase{std::move(fresh), aside};
}

}  // namespace assay
