// Files of results: ours, llama-bench's four forms, Google Benchmark's; and what is written for them.
#include "bench/harness/import.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "bench/harness/import_parts.h"
#include "bench/harness/llama_rows.h"
#include "bench/harness/peer.h"
#include "bench/harness/store.h"
#include "bench/harness/text_table.h"
#include "tests/bench/made_runs.h"
#include "tests/support/data.h"

namespace assay {
namespace {

using test::made_run;

class Import : public ::testing::Test {
 protected:
  std::filesystem::path write(std::string_view name, std::string_view text) {
    const auto path = folder_.path() / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  test::TemporaryFolder folder_;
};

// One prompt test in llama-bench's field names, as each of its forms has it.
constexpr const char* kRow = R"({"build_commit":"1234abc","build_number":77,"cpu_info":"Some CPU","gpu_info":"","backends":"CPU","model_filename":"/m/a-Q4_K_M.gguf",
  "model_type":"llama 1B Q4_K - Medium","model_size":800000000,"model_n_params":1200000000,"n_batch":2048,"n_ubatch":512,"n_threads":4,"type_k":"f16","type_v":"f16",
  "n_gpu_layers":99,"n_prompt":512,"n_gen":0,"n_depth":0,"test_time":"2026-05-01T10:00:00Z","avg_ns":2000000000,"stddev_ns":1000,"avg_ts":256.0,"stddev_ts":0.5,
  "samples_ns":[1990000000,2000000000,2010000000],"samples_ts":[257.2,256.0,254.7]})";

void expect_row(const CaseRun& run, std::size_t rounds) {
  EXPECT_EQ(run.engine.name, "llama-bench");
  EXPECT_EQ(run.engine.commit, "1234abc");
  EXPECT_EQ(run.test, "pp512");
  EXPECT_EQ(run.model.name, "a-Q4_K_M");
  EXPECT_EQ(run.resolved.threads, 4);
  EXPECT_EQ(run.rounds.size(), rounds);
  ASSERT_TRUE(run.prefill_tps);
  EXPECT_NEAR(run.prefill_tps->median, 256, 0.01);
  EXPECT_EQ(run.host.cpu_model, "Some CPU");
}

TEST_F(Import, LlamaBenchJsonAndJsonLines) {
  auto json = load_results(write("a.json", "[" + std::string(kRow) + "]"));
  ASSERT_TRUE(json) << json.error().message();
  EXPECT_EQ(json->kind, "llama-bench json");
  expect_row(json->records.at(0), 3);
  std::string line(kRow);
  std::erase(line, '\n');
  auto lines = load_results(write("a.jsonl", line + "\n" + line + "\n"));
  ASSERT_TRUE(lines) << lines.error().message();
  EXPECT_EQ(lines->kind, "llama-bench jsonl");
  ASSERT_EQ(lines->records.size(), 2u);
  expect_row(lines->records[1], 3);
}

TEST_F(Import, LlamaBenchCsvAndSql) {
  const char* csv = "build_commit,build_number,cpu_info,model_filename,model_type,model_size,model_n_params,n_batch,n_ubatch,n_threads,type_k,type_v,n_prompt,n_gen,n_depth,test_time,avg_ns,stddev_ns,avg_ts,stddev_ts\n"
                    "\"1234abc\",\"77\",\"Some CPU\",\"/m/a-Q4_K_M.gguf\",\"x \"\"y\"\", z\",\"800000000\",\"1200000000\",\"2048\",\"512\",\"4\",\"f16\",\"f16\",\"512\",\"0\",\"0\",\"2026-05-01T10:00:00Z\",\"2000000000\",\"1\",\"256.0\",\"0.5\"\n";
  auto loaded = load_results(write("a.csv", csv));
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->kind, "llama-bench csv");
  expect_row(loaded->records.at(0), 1);
  EXPECT_EQ(loaded->records[0].model.architecture, "x \"y\", z");
  const char* sql = "CREATE TABLE IF NOT EXISTS llama_bench (build_commit TEXT);\nINSERT INTO llama_bench (build_commit, build_number, cpu_info, model_filename, n_threads, n_prompt, n_gen, avg_ns, avg_ts) "
                    "VALUES ('1234abc', '77', 'Some CPU', '/m/a-Q4_K_M.gguf', '4', '512', '0', '2000000000', '256.0');\n";
  auto from_sql = load_results(write("a.sql", sql));
  ASSERT_TRUE(from_sql) << from_sql.error().message();
  expect_row(from_sql->records.at(0), 1);
}

TEST_F(Import, WhatWeWriteAsLlamaBenchReadsBack) {
  const CaseRun run = made_run("o'neil|<x>", {1000, 1100, 1050}, {25, 26, 24});
  const auto rows = llama_rows(std::vector{run});
  ASSERT_EQ(rows.size(), 2u);
  for (const char* form : {"json", "jsonl", "csv", "sql"}) {
    auto loaded = load_results(write(std::string("out.") + form, render_llama_rows(rows, *llama_format_from_name(form))));
    ASSERT_TRUE(loaded) << form << loaded.error().message();
    ASSERT_EQ(loaded->records.size(), 2u) << form;
    EXPECT_EQ(loaded->records[0].test, "pp512");
    EXPECT_EQ(loaded->records[0].model.name, "o'neil|<x>") << form;
    EXPECT_NEAR(loaded->records[1].decode_tps->median, 25, 0.3) << form;
  }
}

TEST(LlamaRows, MarkdownIsLlamaBenchsTable) {
  CaseRun failed = test::failed_run("m", Status::oom, "no memory");
  const std::string table = render_llama_rows(llama_rows(std::vector{made_run("m", {1000, 1000, 1000}, {25, 25, 25}), failed}), LlamaFormat::md);
  EXPECT_TRUE(table.starts_with("| model ")) << table;
  for (const char* part : {" size |", " params |", "| backend", "| threads", "|  test |", "t/s |", "1000.00 ± 0.00 |", "pp512 |", "tg128 |", "572.20 MiB", "1.00 B", "n/a (oom)"})
    EXPECT_NE(table.find(part), std::string::npos) << part << "\n" << table;
}

TEST(TextForms, EscapingHolds) {
  EXPECT_EQ(sql_literal(Json("it's")), "'it''s'");
  EXPECT_EQ(sql_literal(Json()), "NULL");
  EXPECT_EQ(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
  EXPECT_EQ(csv_field("=cmd()"), "'=cmd()");
  EXPECT_EQ(csv_field("-12.5"), "-12.5");
  EXPECT_EQ(markdown_cell("a|b\n<i>`"), "a\\|b &lt;i&gt;\\`");
}

TEST_F(Import, GoogleBenchmarkBothWays) {
  const Json out = google_benchmark_json({made_run("m", {1000, 1010, 990}, {25, 26, 24}), test::failed_run("n", Status::crash, "signal 11")});
  auto loaded = load_results(write("g.json", to_text(out)));
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->kind, "google benchmark");
  ASSERT_EQ(loaded->records.size(), 4u);
  EXPECT_EQ(loaded->records[0].test, "m/prefill/512");
  ASSERT_TRUE(loaded->records[0].time_ms);
  EXPECT_EQ(loaded->records[0].time_ms->rounds.size(), 3u);
  EXPECT_NEAR(loaded->records[0].time_ms->median, 512, 1e-6);
  EXPECT_EQ(loaded->records[3].status, Status::failed);
}

TEST_F(Import, OwnRecordsCutShortOrNewerAreTold) {
  const std::string line = to_text(to_json(made_run("m", {1000, 1010, 990}, {25, 26, 24})));
  auto cut = load_results(write("cut.jsonl", line + "\n" + line.substr(0, line.size() / 2)));
  ASSERT_TRUE(cut) << cut.error().message();
  EXPECT_EQ(cut->records.size(), 1u);
  ASSERT_EQ(cut->problems.size(), 1u);
  EXPECT_NE(cut->problems[0].find("cut.jsonl:2"), std::string::npos);

  const std::string newer = R"({"schema":"assay.case-run/2","case":"x"})";
  auto mixed = load_results(write("mixed.jsonl", line + "\n" + newer + "\n"));
  ASSERT_TRUE(mixed);
  EXPECT_EQ(mixed->records.size(), 1u);
  EXPECT_NE(mixed->problems.at(0).find("newer version"), std::string::npos);
  const auto only = load_results(write("newer.jsonl", newer + "\n"));
  ASSERT_FALSE(only);
  EXPECT_EQ(only.error().code, Code::unsupported);
}

TEST_F(Import, WhatHoldsNoResultsIsRefusedByName) {
  for (const char* text : {"", "hello", "{}", "[]", "[1,2]", "{\"benchmarks\":7}", "build_commit,avg_ts\n", "{\"schema\":\"assay.case-run/1\",\"status\":7}", "INSERT INTO x (a", "\0\1\2"}) {
    const auto loaded = load_results(write("bad", text));
    ASSERT_FALSE(loaded) << text;
    EXPECT_NE(loaded.error().message().find("bad"), std::string::npos) << loaded.error().message();
  }
  EXPECT_EQ(load_results(folder_.path() / "none").error().code, Code::not_found);
  EXPECT_FALSE(load_results(folder_.path()));
}

// ---- the store

TEST_F(Import, StoreFindsWhatWasAddedAndReindexMakesTheSame) {
  auto store = ResultStore::open(folder_.path());
  ASSERT_TRUE(store) << store.error().message();
  CaseRun a = made_run("alpha", {1000, 1010, 990}, {25, 26, 24}), b = made_run("beta", {500, 510, 490}, {12, 13, 11});
  a.tag = "main";
  b.run_id = "run-2";
  b.time = "2026-02-02T00:00:00Z";
  ASSERT_TRUE(store->add(store->file_for("run-1"), {a}));
  ASSERT_TRUE(store->add(store->file_for("run-2"), {b, test::failed_run("gamma", Status::timeout, "slow")}));
  const auto count = [&](const ResultFilter& filter) { return store->find(filter)->size(); };
  const auto expect_all = [&] {
    EXPECT_EQ(count({}), 3u);
    EXPECT_EQ(count({.tag = "main"}), 1u);
    EXPECT_EQ(count({.run_id = "run-2"}), 1u);
    EXPECT_EQ(count({.commit = "abcdef"}), 3u);
    EXPECT_EQ(count({.since = "2026-02"}), 1u);
    EXPECT_EQ(count({.until = "2026-01"}), 2u);
    EXPECT_EQ(count({.model = "bet"}), 1u);
    EXPECT_EQ(count({.status = "timeout"}), 1u);
    EXPECT_EQ(count({.limit = 2}), 2u);
  };
  expect_all();
  std::ofstream(store->file_for("run-2"), std::ios::app) << "{\"schema\":\"assay.case-run/9\"}\n{\"cut";
  const auto done = store->reindex();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->records, 3u);
  EXPECT_EQ(done->problems.size(), 2u);
  expect_all();
  const CaseRun found = store->find({.tag = "main"})->at(0);
  EXPECT_EQ(found.key, a.key);
  EXPECT_EQ(found.rounds.size(), a.rounds.size());
  EXPECT_DOUBLE_EQ(found.decode_tps->median, a.decode_tps->median);
}

TEST_F(Import, IndexThatIsLostOrDamagedIsMadeAgainFromTheResults) {
  { ASSERT_TRUE(ResultStore::open(folder_.path())->add(folder_.path() / "results/r.jsonl", {made_run("m", {1, 2, 3}, {1, 2, 3})})); }
  std::ofstream(folder_.path() / "assay.db", std::ios::trunc) << "this is no database at all, but it is long enough to be read as a header of one";
  for (const char* side : {"assay.db-wal", "assay.db-shm"}) std::filesystem::remove(folder_.path() / side);
  {
    auto store = ResultStore::open(folder_.path());
    ASSERT_TRUE(store) << store.error().message();
    EXPECT_NE(store->note().find("assay.db.damaged-"), std::string::npos) << store->note();
    EXPECT_EQ(store->find({})->size(), 1u);
  }
  std::filesystem::remove(folder_.path() / "assay.db");
  auto store = ResultStore::open(folder_.path());
  ASSERT_TRUE(store);
  EXPECT_EQ(store->note(), "");
  EXPECT_EQ(store->find({})->size(), 1u);
}

TEST_F(Import, LastSpeedIsTheNewestOfAModel) {
  auto store = ResultStore::open(folder_.path());
  ASSERT_TRUE(store);
  CaseRun older = made_run("m", {100, 100, 100}, {10, 10, 10}), newer = made_run("m", {100, 100, 100}, {20, 20, 20});
  older.time = "2026-01-01T00:00:00Z", newer.time = "2026-01-02T00:00:00Z";
  ASSERT_TRUE(store->add(store->file_for("run-1"), {newer, older, test::failed_run("m", Status::timeout, "slow")}));
  const auto speeds = store->last_speeds();
  ASSERT_TRUE(speeds);
  ASSERT_EQ(speeds->size(), 1u);
  EXPECT_EQ(speeds->at(0).model, "m");
  EXPECT_EQ(speeds->at(0).model_sha256, older.model_sha256);
  EXPECT_DOUBLE_EQ(speeds->at(0).decode_tps, newer.decode_tps->median);
}

// ---- the peer

TEST(Peer, RoundIsReadFromItsJson) {
  const auto reply = read_llama_bench("[" + std::string(kRow) + "]");
  ASSERT_TRUE(reply) << reply.error().message();
  EXPECT_EQ(reply->round->prefill_ms, std::vector<double>({1990, 2000, 2010}));
  EXPECT_EQ(reply->engine.version, "b77");
  for (const char* text : {"", "{}", "[]", "[{}]", "[{\"samples_ns\":[]}]", "[{\"samples_ns\":[0]}]"}) EXPECT_FALSE(read_llama_bench(text)) << text;
}

TEST(Peer, SettingsBecomeItsOptions) {
  PeerRequest request{.program = "x", .model = "m.gguf", .kind = "GGUF", .settings = {}, .samples = 2, .stop_requested = [] { return false; }};
  request.settings.prompt_tokens = 64;
  request.settings.generated_tokens = 16;
  request.settings.is_joined = true;
  request.settings.kv_keys = request.settings.kv_values = "q8_0";
  const auto arguments = llama_bench_arguments(request);
  const std::string all = fmt::format("{}", fmt::join(arguments, " "));
  for (const char* part : {"-m m.gguf", "-pg 64,16", "-p 0 -n 0", "-ctk q8_0", "-r 2", "-o json"}) EXPECT_NE(all.find(part), std::string::npos) << part << " in " << all;
  EXPECT_EQ(all.find("-d "), std::string::npos) << "forks of llama.cpp may not know it: " << all;
}


TEST(Peer, WhatItCannotDoIsARowWithTheReason) {
  const auto status_with = [](auto change) {
    PeerRequest request{.program = "/no/such/program", .model = "m.gguf", .kind = "GGUF", .settings = {}, .stop_requested = [] { return false; }};
    change(request.settings);
    const auto reply = run_peer_round(request);
    return reply ? reply->status : Status::ok;
  };
  EXPECT_EQ(status_with([](CaseSettings& s) { s.sequences = 2; }), Status::unsupported);
  EXPECT_EQ(status_with([](CaseSettings& s) { s.load = "map locked"; }), Status::unsupported);
  EXPECT_EQ(status_with([](CaseSettings& s) { s.isa = "avx2"; }), Status::unsupported);
  EXPECT_EQ(status_with([](CaseSettings&) {}), Status::failed) << "no such program";
}

}  // namespace
}  // namespace assay
