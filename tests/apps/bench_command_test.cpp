// assay bench, results, compare and report as a user runs them: rows that fail, interruption, resumption, gates.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "bench/harness/case_run.h"
#include "tests/apps/command.h"

namespace assay {
namespace {

using test::Outcome;

class BenchCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("ASSAY_HOME", (folder_.path() / "home").c_str(), 1);
    // Checks and hashes of the fixtures are the same for every test of this program.
    static const test::TemporaryFolder cache;
    ::setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
    ::unsetenv("ASSAY_ISA");
  }
  std::string path(std::string_view name) const { return (folder_.path() / name).string(); }
  static std::string model(std::string_view name) { return (test::fixture("models") / name).string(); }

  // Small and quick unless `more` says otherwise.
  Outcome bench(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"bench", "-q", "-p", "16", "-n", "4", "-r", "2", "--samples", "2", "--no-cold", "--records", path("r.jsonl")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::assay(std::move(arguments));
  }
  std::vector<CaseRun> records(std::string_view name = "r.jsonl") const {
    std::vector<CaseRun> out;
    std::ifstream in(path(name));
    for (std::string line; std::getline(in, line);) {
      auto json = parse_json(line);
      EXPECT_TRUE(json) << line;
      auto run = from_json<CaseRun>(*json);
      EXPECT_TRUE(run) << (run ? "" : run.error().message());
      if (run) out.push_back(std::move(*run));
    }
    return out;
  }
  // Children of this test's own runs: they know its folder; other tests may run beside it.
  std::size_t children_of_bench() const {
    const auto text_of = [](const std::filesystem::path& file) {
      std::ifstream in(file);
      return std::string((std::istreambuf_iterator<char>(in)), {});
    };
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string line = text_of(entry.path() / "cmdline");
      if (line.find("bench_models") == std::string::npos || line.find("--task") == std::string::npos) continue;
      count += text_of(entry.path() / "environ").find(folder_.path().string()) != std::string::npos ? 1 : 0;
    }
    return count;
  }

  // Rounds that running journals hold.
  std::size_t rounds_kept() const {
    std::size_t lines = 0;
    std::error_code problem;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "home" / "running", problem)) {
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) ++lines;
    }
    return lines > 0 ? lines - 1 : 0;
  }

  // Runs `assay bench` until its second round is in the journal, then sends `signal`; returns how it ended, as waitpid does.
  int bench_until_second_round(std::vector<std::string> arguments, int signal) {
    arguments.insert(arguments.begin(), {"assay", "bench"});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const std::string program = std::string(ASSAY_BIN_DIR) + "/assay", messages = path("messages");
    const pid_t parent = ::fork();
    if (parent == 0) {
      if (!std::freopen(messages.c_str(), "w", stderr) || !std::freopen("/dev/null", "w", stdout)) ::_exit(126);
      ::execv(program.c_str(), argv.data());
      ::_exit(127);
    }
    for (int i = 0; i < 2000 && rounds_kept() < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ::kill(parent, signal);
    int status = 0;
    ::waitpid(parent, &status, 0);
    return status;
  }

  const std::string q4_ = model("nano-frankenstein/gguf/nano-frankenstein-Q4_K_M.gguf");
  const std::string q8_ = model("nano-frankenstein/gguf/nano-frankenstein-Q8_0.gguf");
  test::TemporaryFolder folder_;
};

TEST_F(BenchCommand, RecordHoldsWhatWasAskedFor) {
  const Outcome ran = test::assay({"bench", q4_, model("nano-frankenstein/mlx-4bit"), "-p", "32", "-n", "8", "-r", "3", "--quality", "--ctx", "64", "--chunks", "2", "--reference", model("nano-frankenstein/gguf/nano-frankenstein-F16.gguf"), "--records", path("r.jsonl"), "-t", "1"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err << ran.out;
  EXPECT_NE(ran.out.find("nano-frankenstein-Q4_K_M"), std::string::npos);
  EXPECT_NE(ran.out.find("perplexity"), std::string::npos);
  EXPECT_NE(ran.err.find("round 1:"), std::string::npos) << "progress says what it does";
  EXPECT_NE(ran.err.find("left]"), std::string::npos) << "and how long it takes";
  const auto all = records();
  ASSERT_EQ(all.size(), 2u);
  for (const CaseRun& run : all) {
    EXPECT_EQ(run.status, Status::ok) << run.reason;
    EXPECT_EQ(run.rounds.size(), 3u);
    for (const auto& metric : {run.prefill_tps, run.decode_tps, run.end_to_end_tps, run.ttft_ms, run.peak_bytes}) {
      ASSERT_TRUE(metric);
      EXPECT_EQ(metric->rounds.size(), 3u);
      EXPECT_GT(metric->median, 0);
    }
    for (const Round& round : run.rounds) {
      EXPECT_GE(round.prefill_ms.size(), 3u);
      EXPECT_EQ(round.warmups, 1u);
      EXPECT_GT(round.memory.peak_bytes, 1'000'000u);
      EXPECT_LT(round.memory.peak_bytes, 200'000'000u) << "the probe's memory is none of the model's";
      EXPECT_GT(round.read_gbps.value_or(0), 0.1);
      EXPECT_GT(round.peak_gmacs.value_or(0), 0.1);
      ASSERT_TRUE(round.start);
      EXPECT_GT(round.start->first_token_ms, 0);
    }
    ASSERT_TRUE(run.agreement);
    EXPECT_TRUE(run.agreement->passed);
    EXPECT_EQ(run.output_hash->size(), 64u);
    EXPECT_EQ(run.model_sha256.size(), 64u);
    EXPECT_EQ(run.resolved.threads, 1);
    EXPECT_FALSE(run.resolved.isa.empty());
    EXPECT_GT(run.decode->limit_percent.value_or(0), 0);
    EXPECT_GT(run.prefill->limit_percent.value_or(0), 0);
    EXPECT_GT(run.decode->bytes_per_token, 100'000);
    EXPECT_TRUE(run.tokenize_ms && run.sample_ms);
    EXPECT_GE(run.ttft_ms->median, *run.tokenize_ms);
    EXPECT_LE(run.latency.p50_ms.value(), run.latency.max_ms.value());
    ASSERT_TRUE(run.start);
    EXPECT_TRUE(run.start->cold_load_ms || !run.start->cold_note.empty()) << "a cold figure, or why there is none";
    EXPECT_TRUE(run.plan_error_percent);
    EXPECT_TRUE(run.memory.proportional_bytes);
    ASSERT_TRUE(run.quality);
    EXPECT_GT(run.quality->perplexity, 1);
    EXPECT_GT(run.quality->kl_mean.value_or(0), 0);
    EXPECT_EQ(run.host_fingerprint.size(), 16u);
    EXPECT_FALSE(run.host.cpu_model.empty());
    EXPECT_FALSE(run.build.commit.empty());
  }
  EXPECT_NE(all[0].key, all[1].key);
}

TEST_F(BenchCommand, SequencesTogetherCachesOfEightBitsAndCopiedFilesAreMeasured) {
  const Outcome ran = bench({q4_, "-npl", "1,3,8", "-ctk", "q8_0", "-mmp", "0", "-pg", "16,4"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err << ran.out;
  const auto all = records();
  ASSERT_EQ(all.size(), 6u);
  for (const CaseRun& run : all) {
    EXPECT_EQ(run.status, Status::ok) << run.reason;
    EXPECT_EQ(run.settings.load, "copy");
    EXPECT_EQ(run.settings.kv_keys, "q8_0");
  }
  const auto of = [&](std::uint32_t sequences) -> const CaseRun& {
    return *std::find_if(all.begin(), all.end(), [&](const CaseRun& run) { return run.settings.sequences == sequences && !run.settings.is_joined; });
  };
  // Three sequences share one reading of the weights, and each has a cache of its own.
  EXPECT_LT(of(3).decode->bytes_per_token, of(1).decode->bytes_per_token / 2);
  EXPECT_EQ(of(3).planned.kv_bytes, 3 * of(1).planned.kv_bytes);
}

TEST_F(BenchCommand, FailuresAreRowsAndTheSweepGoesOn) {
  const std::string broken = test::fixture("corrupt/gguf/trunc_in_kv.gguf").string();
  const Outcome ran = bench({"no/such.gguf", broken, q4_, "-d", "0,100000", "--backend", "cpu,vulkan:99", "-ctk", "f16,iq4_nl"});
  EXPECT_EQ(ran.exit_code, 1) << "a device that was asked for by name is not there";
  std::map<Status, int> count;
  for (const CaseRun& run : records()) {
    ++count[run.status];
    EXPECT_EQ(run.reason.empty(), run.status == Status::ok);
  }
  EXPECT_EQ(count[Status::invalid_file], 2 * 8);
  EXPECT_EQ(count[Status::ok], 1);
  EXPECT_EQ(count[Status::unsupported], 7) << "a depth beyond the context, a backend and a cache type that are not there";
  EXPECT_NE(ran.out.find("choose a smaller depth"), std::string::npos) << ran.out;
}

TEST_F(BenchCommand, MemoryLimitIsAnOomRowAndTheOthersGoOn) {
  // Activations of 512 tokens do not fit into 5 MB: told before anything is started. Those of 16 do.
  const Outcome ran = bench({q4_, "-p", "512", "--memory-limit", "5M"});
  EXPECT_EQ(ran.exit_code, 3);
  const auto all = records();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].settings.prompt_tokens, 16u);
  EXPECT_EQ(all[0].status, Status::ok) << all[0].reason;
  EXPECT_EQ(all[1].status, Status::oom) << all[1].reason;
  EXPECT_NE(all[1].reason.find("of which 5.24 MB are free"), std::string::npos) << all[1].reason;
  std::filesystem::remove(path("r.jsonl"));
  EXPECT_EQ(bench({q4_, "--memory-limit", "4G"}).exit_code, 0);
  EXPECT_FALSE(records().at(0).resolved.memory_limit.empty());
}

TEST_F(BenchCommand, TimeoutIsARow) {
  const Outcome ran = bench({q4_, "--samples", "10000", "-p", "512", "--timeout", "0.2", "--no-check"});
  EXPECT_EQ(ran.exit_code, 3);
  for (const CaseRun& run : records()) EXPECT_EQ(run.status, Status::timeout) << run.reason;
  EXPECT_EQ(children_of_bench(), 0u);
}

TEST_F(BenchCommand, CrashIsARowWithItsSignal) {
  // A program of another build that dies in every round.
  std::ofstream(path("crasher")) << "#!/bin/sh\ncase \"$2\" in *'\"task\":\"round\"'*) kill -SEGV $$;; esac\nexec " << ASSAY_BIN_DIR << "/bench_models \"$@\"\n";
  std::filesystem::permissions(path("crasher"), std::filesystem::perms::owner_all);
  const Outcome ran = bench({q4_, "--program", "good=" + std::string(ASSAY_BIN_DIR) + "/bench_models", "--program", "bad=" + path("crasher")});
  EXPECT_EQ(ran.exit_code, 3) << ran.err;
  EXPECT_NE(ran.out.find("good: "), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("bad: crash"), std::string::npos) << ran.out;
  const auto all = records();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].status, Status::ok) << all[0].reason;
  EXPECT_EQ(all[0].tag, "good");
  EXPECT_EQ(all[1].status, Status::crash);
  EXPECT_NE(all[1].reason.find("signal 11"), std::string::npos) << all[1].reason;
}

TEST_F(BenchCommand, InterruptionWritesWhatItHasAndResumeGoesOn) {
  const int status = bench_until_second_round({q4_, q8_, "-p", "64", "-n", "16", "-r", "24", "--no-cold", "--no-check"}, SIGINT);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_NE(test::read_text(path("messages")).find("--resume"), std::string::npos) << test::read_text(path("messages"));
  EXPECT_EQ(children_of_bench(), 0u);
  const Outcome listed = test::assay({"results", "--json"});
  ASSERT_TRUE(parse_json(listed.out));
  const Outcome resumed = test::assay({"bench", "--resume", "last", "-q", "-o", "records"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  const Json document = *parse_json(resumed.out);
  ASSERT_EQ(document.find("records")->array()->size(), 2u);
  for (const Json& json : *document.find("records")->array()) {
    const auto run = from_json<CaseRun>(json);
    ASSERT_TRUE(run);
    EXPECT_EQ(run->rounds.size(), 24u);
    EXPECT_FALSE(run->is_interrupted);
  }
  EXPECT_EQ(test::assay({"bench", "--resume", "last"}).exit_code, 3) << "nothing is left to go on with";
}

TEST_F(BenchCommand, KilledParentLeavesNoChildAndResumeLosesNoRound) {
  bench_until_second_round({q4_, "-p", "64", "-n", "16", "-r", "24", "--no-cold", "--no-check"}, SIGKILL);
  const std::size_t kept = rounds_kept();
  ASSERT_GE(kept, 2u);
  for (int i = 0; i < 300 && children_of_bench() > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(children_of_bench(), 0u);
  const Outcome resumed = test::assay({"bench", "--resume", "last", "-o", "records"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  const auto run = from_json<CaseRun>(parse_json(resumed.out)->find("records")->array()->at(0));
  ASSERT_TRUE(run);
  EXPECT_EQ(run->rounds.size(), 24u);
  EXPECT_NE(resumed.err.find("round " + std::to_string(kept + 1) + ":"), std::string::npos) << resumed.err;
  EXPECT_EQ(resumed.err.find("round 1:"), std::string::npos) << "rounds that are kept are not measured again";
}

TEST_F(BenchCommand, FullDiskLosesNothingThatWasRecorded) {
  // A file system of 160 kB in a user namespace: some rounds fit, not all.
  const std::string script = "mkdir -p " + path("home") + " && mount -t tmpfs -o size=160k none " + path("home") + " && export ASSAY_HOME=" + path("home") + " && " + ASSAY_BIN_DIR + "/assay bench -q " + q4_ +
                             " -p 64 -n 64 -r 60 --no-cold --no-check; echo exit $?; grep -c round " + path("home") + "/running/*.journal; tail -c 1 " + path("home") + "/running/*.journal | od -An -tx1";
  if (test::run({"/usr/bin/unshare", {"-Urm", "true"}}).exit_code != 0) GTEST_SKIP() << "needs user namespaces";
  const Outcome ran = test::run({"/usr/bin/unshare", {"-Urm", "sh", "-c", script}});
  EXPECT_NE(ran.out.find("exit 3"), std::string::npos) << ran.out << ran.err;
  EXPECT_NE(ran.err.find("No space left"), std::string::npos) << ran.err;
  EXPECT_NE(ran.out.find(" 0a"), std::string::npos) << "the journal ends with a whole line: " << ran.out;
}

TEST_F(BenchCommand, LlamaBenchFormsAndOthers) {
  EXPECT_NE(bench({q4_, "-o", "md", "-t", "1"}).out.find("| llama 1.25 M Q4_K |"), std::string::npos);
  for (const char* form : {"json", "records", "gbench"}) EXPECT_TRUE(parse_json(bench({q4_, "-o", form}).out)) << form;
  EXPECT_NE(bench({q4_, "-o", "sql"}).out.find("INSERT INTO llama_bench"), std::string::npos);
  EXPECT_TRUE(bench({q4_, "-o", "csv"}).out.starts_with("build_commit,"));
  EXPECT_TRUE(parse_json(bench({q4_, "--json"}).out)->find("schema"));
  EXPECT_EQ(bench({q4_, "-o", path("out.json")}).exit_code, 0);
  EXPECT_TRUE(test::read_json(path("out.json")).find("records"));
}

TEST_F(BenchCommand, OptionsOfLlamaBenchMeanWhatTheyMeanThere) {
  const Outcome listed = bench({q4_, "--list", "-pg", "64,32", "-t", "1,2", "-d", "0-128+64", "-ngl", "0", "-ctk", "f32", "-ctv", "f32", "-fa", "1", "-mmp", "1", "-ub", "64"});
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_EQ(std::count(listed.out.begin(), listed.out.end(), '\n'), 2 * 2 * 3);
  EXPECT_NE(listed.out.find("pp64+tg32 @ d128"), std::string::npos) << listed.out;
  EXPECT_NE(listed.out.find("ub64 f32/f32"), std::string::npos) << listed.out;
}

TEST_F(BenchCommand, IsaOfTheEnvironmentIsUsedAndRecorded) {
  ::setenv("ASSAY_ISA", "scalar", 1);
  EXPECT_EQ(bench({q4_}).exit_code, 0);
  EXPECT_EQ(records().at(0).resolved.isa, "scalar");
  const Outcome direct = test::run({"bench_models", {q4_, "--benchmark_min_time=0.01", "--prompt", "8", "--gen", "4", "--benchmark_filter=decode", "--records", path("m.jsonl")}});
  EXPECT_EQ(direct.exit_code, 0) << direct.err;
  EXPECT_NE(test::read_text(path("m.jsonl")).find("\"isa\":\"scalar\""), std::string::npos);
  ::setenv("ASSAY_ISA", "mmx", 1);
  EXPECT_EQ(bench({q4_}).exit_code, 2);
  ::unsetenv("ASSAY_ISA");
}

TEST_F(BenchCommand, PlanFileAndItsMistakes) {
  std::ofstream(path("plan.yaml")) << "models: [" << q4_ << "]\nprompt: 8\ngen: 4\nthreads: [1]\nrounds: 2\nno-cold: true\n";
  const Outcome ran = test::assay({"bench", "--plan", path("plan.yaml"), "--records", path("r.jsonl"), "-q", "-n", "2"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(records().at(0).settings.generated_tokens, 2u) << "the command line comes first";
  EXPECT_EQ(records().at(0).settings.prompt_tokens, 8u);
  std::ofstream(path("bad.yaml")) << "models: [a\nprompt: 8\n";
  test::expect_error(test::assay({"bench", "--plan", path("bad.yaml")}), 3, "bad.yaml:");
  test::expect_error(test::assay({"bench", "--plan", path("none.yaml")}), 3, "none.yaml");
}

TEST_F(BenchCommand, CommandLineMistakesAreTold) {
  test::expect_error(test::assay({"bench"}), 2, "no model");
  test::expect_error(test::assay({"bench", q4_, "-r", "5", "--min-rounds", "3"}), 2, "contradicts");
  test::expect_error(test::assay({"bench", q4_, "--resume", "last"}), 2, "leave them out");
  test::expect_error(test::assay({"bench", "--resume", "last"}), 3, "no interrupted run");
  test::expect_error(test::assay({"bench", q4_, "--preset", "fast"}), 2, "known: localscore");
  test::expect_error(test::assay({"bench", "synth:no-such-shape:Q4_K_M"}), 2, "no-such-shape");
  test::expect_error(test::assay({"compare", "nothing", "here"}), 3, "nothing");
  test::expect_error(test::assay({"report", "nothing", "-o", path("x.html")}), 3, "nothing");
  test::expect_error(test::assay({"report", "nothing", "-o", path("x.xyz")}), 2, "--format");
}

TEST_F(BenchCommand, PeerStandsBesideAndItsFailuresAreRows) {
  std::ofstream(path("llama-bench")) << "#!/bin/sh\nn=$(echo \"$@\" | grep -o -- '-p [0-9]*' | cut -d' ' -f2)\n"
                                        "echo '[{\"build_commit\":\"fa4e\",\"build_number\":1,\"backends\":\"CPU\",\"n_threads\":1,\"n_prompt\":'$n',\"n_gen\":0,\"samples_ns\":[1000000,1100000]},"
                                        "{\"n_threads\":1,\"n_prompt\":0,\"n_gen\":4,\"samples_ns\":[2000000]}]'\n";
  std::filesystem::permissions(path("llama-bench"), std::filesystem::perms::owner_all);
  const Outcome ran = bench({q4_, model("nano-frankenstein/mlx-4bit"), "--peer", "llama-bench=" + path("llama-bench"), "--peer", "llama-bench:fork=" + path("llama-bench")});
  EXPECT_EQ(ran.exit_code, 3) << ran.err;
  const auto all = records();
  ASSERT_EQ(all.size(), 6u);
  EXPECT_EQ(all[1].engine.name, "llama-bench");
  EXPECT_EQ(all[1].status, Status::ok) << all[1].reason;
  EXPECT_NEAR(all[1].prefill_tps->median, 16 / 1.05e-3, 1);
  EXPECT_NEAR(all[1].decode_tps->median, 2000, 1e-6);
  EXPECT_EQ(all[2].engine.name, "llama-bench:fork");
  EXPECT_EQ(all[4].status, Status::unsupported) << "no GGUF";
  test::expect_error(bench({q4_, "--peer", "other=" + path("llama-bench")}), 2, "known: llama-bench");
}

TEST_F(BenchCommand, FalseAlarmsAreCounted) {
  const Outcome ran = bench({q4_, "--aa", "2", "-r", "5", "--json", "--no-check"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  const auto json = parse_json(ran.out);
  ASSERT_TRUE(json) << ran.out;
  EXPECT_EQ(json->find("trials")->integer(), 2);
  EXPECT_EQ(json->find("metrics")->integer(), 8);
  test::expect_error(bench({q4_, "--aa", "2", "-r", "2", "--no-check"}), 2, "need 5 rounds");
}

// ---- the gate: bench two programs in turn, compare, exit code

TEST_F(BenchCommand, SlowedKernelIsCaughtAndAnUnchangedPairPasses) {
  const std::string fast = std::string(ASSAY_BIN_DIR) + "/bench_models", slow = std::string(ASSAY_BIN_DIR) + "/bench_models_slow";
  const auto gate = [&](const std::string& program) {
    std::filesystem::remove(path("gate.jsonl"));
    const Outcome measured = test::assay({"bench", "-q", model("tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf"), "-p", "64", "-n", "16", "-r", "6", "--no-cold", "-t", "1", "--program", "base=" + fast, "--program", "new=" + program, "--records", path("gate.jsonl")});
    EXPECT_EQ(measured.exit_code, 0) << measured.err;
    return test::assay({"compare", path("gate.jsonl") + "@base", path("gate.jsonl") + "@new", "--min-effect", "30", "--format", "junit"});
  };
  const Outcome caught = gate(slow);
  EXPECT_EQ(caught.exit_code, 1) << caught.out;
  EXPECT_NE(caught.out.find("<failure"), std::string::npos);
  const Outcome passed = gate(fast);
  EXPECT_EQ(passed.exit_code, 0) << passed.out;
}

TEST_F(BenchCommand, ResultsAreKeptFoundExportedAndReported) {
  for (const char* tag : {"one", "two"})
    ASSERT_EQ(test::assay({"bench", q4_, "-q", "-p", "16", "-n", "4", "-r", "5", "--no-cold", "--tag", tag}).exit_code, 0);
  const Outcome listed = test::assay({"results"});
  EXPECT_EQ(std::count(listed.out.begin(), listed.out.end(), '\n'), 3) << listed.out;
  const int compared = test::assay({"compare", "one", "two", "--min-effect", "900"}).exit_code;
  EXPECT_EQ(compared, 0);
  EXPECT_EQ(test::assay({"compare", "previous", "latest", "--facts-only"}).exit_code, 0);
  for (const char* format : {"md", "json", "jsonl", "csv", "sql", "gbench", "llama-bench"}) EXPECT_FALSE(test::assay({"results", "--format", format}).out.empty()) << format;
  const Outcome exported = test::assay({"results", "--tag", "one", "--format", "csv"});
  EXPECT_EQ(std::count(exported.out.begin(), exported.out.end(), '\n'), 2);
  EXPECT_NE(exported.out.find("settings.threads"), std::string::npos);
  ASSERT_EQ(test::assay({"results", "--format", "llama-bench", "-o", path("llama.json")}).exit_code, 0);
  EXPECT_EQ(test::assay({"results", "import", path("llama.json"), "--tag", "imported"}).exit_code, 0);
  EXPECT_NE(test::assay({"results", "--tag", "imported"}).out.find("pp16"), std::string::npos);
  EXPECT_NE(test::assay({"results", "reindex"}).out.find("6 records of 3 files"), std::string::npos);
  EXPECT_EQ(test::assay({"report", "one", "two", "-o", path("report.html")}).exit_code, 0);
  EXPECT_NE(test::read_text(path("report.html")).find("nano-frankenstein-Q4_K_M"), std::string::npos);
  EXPECT_EQ(test::assay({"results", "import", q4_}).exit_code, 3);
}

}  // namespace
}  // namespace assay
