// The database and its migrations.
#include "runtime/registry/database.h"

#include <gtest/gtest.h>

#include <thread>

#include "runtime/registry/schema.h"
#include "tests/support/data.h"

namespace assay {
namespace {

constexpr Migration kFirst[] = {{1, "one", "CREATE TABLE a (x TEXT)"}};
constexpr Migration kBoth[] = {{1, "one", "CREATE TABLE a (x TEXT)"},
                               {2, "two", "CREATE TABLE b (y INTEGER); INSERT INTO b VALUES (7)"}};
constexpr Migration kBroken[] = {{1, "one", "CREATE TABLE a (x TEXT)"},
                                 {2, "two", "CREATE TABLE c (z TEXT); nonsense"}};

class DatabaseTest : public ::testing::Test {
 protected:
  std::vector<std::string> column(Database& database, std::string_view sql) {
    std::vector<std::string> out;
    EXPECT_TRUE(database.query(sql, {}, [&](Database::Row row) {
      out.push_back(text_of(row[0]).empty() ? std::to_string(integer_of(row[0]).value_or(-1)) : text_of(row[0]));
      return true;
    }));
    return out;
  }
  test::TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "deep" / "assay.db";
};

TEST_F(DatabaseTest, MigrationsRunOnceAndInOrder) {
  { ASSERT_TRUE(Database::open(path_, kFirst)); }
  auto database = Database::open(path_, kBoth);
  ASSERT_TRUE(database) << database.error().message();
  EXPECT_EQ(*database->version(), 2);
  EXPECT_EQ(column(*database, "SELECT y FROM b"), std::vector<std::string>({"7"}));
  auto again = Database::open(path_, kBoth);
  ASSERT_TRUE(again);
  EXPECT_EQ(column(*again, "SELECT y FROM b").size(), 1u);
}

TEST_F(DatabaseTest, DatabaseOfANewerVersionIsRefused) {
  { ASSERT_TRUE(Database::open(path_, kBoth)); }
  const auto older = Database::open(path_, kFirst);
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().code, Code::unsupported);
  EXPECT_NE(older.error().message().find("newer version"), std::string::npos);
}

TEST_F(DatabaseTest, MigrationThatFailsLeavesNothingBehind) {
  ASSERT_FALSE(Database::open(path_, kBroken));
  auto database = Database::open(path_, kFirst);
  ASSERT_TRUE(database);
  EXPECT_EQ(column(*database, "SELECT name FROM sqlite_master WHERE name = 'c'").size(), 0u);
}

TEST_F(DatabaseTest, ValuesKeepTheirKindsAndQuotesAreHarmless) {
  auto database = Database::open(path_, kFirst);
  const DatabaseValue hostile[] = {std::string("'; DROP TABLE a; --")};
  ASSERT_TRUE(database->run("INSERT INTO a VALUES (?)", hostile));
  EXPECT_EQ(column(*database, "SELECT x FROM a").at(0), "'; DROP TABLE a; --");
  bool seen = false;
  EXPECT_TRUE(database->query("SELECT NULL, 3, 2.5, 'x'", {}, [&](Database::Row row) {
    seen = std::holds_alternative<std::monostate>(row[0]) && integer_of(row[1]) == 3 &&
           std::get<double>(row[2]) == 2.5 && text_of(row[3]) == "x";
    return true;
  }));
  EXPECT_TRUE(seen);
  EXPECT_FALSE(database->run("SELECT nonsense FROM nowhere"));
}

TEST_F(DatabaseTest, TransactionIsAllOrNothing) {
  auto database = Database::open(path_, kFirst);
  const auto body = [&]() -> Result<> {
    ASSAY_TRY_VOID(database->run("INSERT INTO a VALUES ('1')"));
    return Error{Code::usage, "", "no"};
  };
  EXPECT_FALSE(database->transaction(body));
  EXPECT_EQ(column(*database, "SELECT x FROM a").size(), 0u);
}

TEST_F(DatabaseTest, TwoProcessesMayWriteAtOnce) {
  const auto write = [&] {
    auto database = Database::open(path_, kMigrations);
    ASSERT_TRUE(database) << database.error().message();
    for (int i = 0; i < 20; ++i) {
      const auto body = [&] {
        return database->run(
            "INSERT INTO results "
            "(run_id,tag,time,commit_id,engine,model,model_sha256,test,status,key,host_fingerprint,file,line,record) "
            "SELECT '','','','','','','','','','','',hex(randomblob(8)),1,''");
      };
      ASSERT_TRUE(database->transaction(body));
    }
  };
  std::thread other(write);
  write();
  other.join();
  auto database = Database::open(path_, kMigrations);
  EXPECT_EQ(column(*database, "SELECT count(*) FROM results").at(0), "40");
}

}  // namespace
}  // namespace assay
