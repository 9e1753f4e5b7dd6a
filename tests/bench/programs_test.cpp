// bench_models and bench_kernels as a user runs them: output that parses, checks that bite, exit codes.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>

#include "bench/record.h"
#include "tests/support/data.h"

namespace assay {
namespace {

struct Outcome {
  int exit_code = -1;
  std::string output, errors;
};

class Programs : public ::testing::Test {
 protected:
  Outcome run(const std::string& program, const std::string& arguments) {
    const std::string errors = path("stderr");
    const std::string command = std::string(ASSAY_BIN_DIR) + "/" + program + " " + arguments + " 2>" + errors;
    Outcome out;
    FILE* pipe = ::popen(command.c_str(), "r");
    EXPECT_NE(pipe, nullptr);
    char piece[4096];
    for (std::size_t count; (count = ::fread(piece, 1, sizeof piece, pipe)) > 0;) out.output.append(piece, count);
    const int status = ::pclose(pipe);
    out.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    out.errors = test::read_text(errors);
    return out;
  }
  std::string path(std::string_view name) const { return (folder_.path() / name).string(); }
  template <class Record>
  std::vector<Record> read_records(std::string_view name) const {
    std::vector<Record> out;
    std::ifstream in(path(name));
    for (std::string line; std::getline(in, line);) {
      auto json = parse_json(line);
      EXPECT_TRUE(json) << line;
      auto record = from_json<Record>(*json);
      EXPECT_TRUE(record) << (record ? "" : record.error().message());
      if (record) out.push_back(std::move(*record));
    }
    return out;
  }
  static std::string model(std::string_view name) { return (test::fixture("models") / name).string(); }
  const std::string quick_ = " --benchmark_min_time=0.02 ";
  const std::string q4_ = model("nano-frankenstein/gguf/nano-frankenstein-Q4_K_M.gguf");
  test::TemporaryFolder folder_;
};

TEST_F(Programs, ModelsAreMeasuredAndRecorded) {
  const Outcome ran = run("bench_models", q4_ + " " + model("nano-frankenstein/mlx-4bit") + quick_ + "--threads 1 --records " + path("r.jsonl") +
                                              " --benchmark_out=" + path("out.json"));
  ASSERT_EQ(ran.exit_code, 0) << ran.errors;
  EXPECT_NE(ran.output.find("nano-frankenstein-Q4_K_M/prefill/512"), std::string::npos);
  EXPECT_NE(ran.output.find("mlx-4bit/decode/128"), std::string::npos);
  EXPECT_EQ(ran.errors.find("DEBUG"), std::string::npos) << "the library's own build type is not ours";

  const Json out = test::read_json(path("out.json"));
  ASSERT_NE(out.find("context"), nullptr);
  const BuildFacts build = build_facts();
  std::string type = build.build_type;
  std::transform(type.begin(), type.end(), type.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
  EXPECT_EQ(*out.find("context")->find("library_build_type")->string(), type);
  ASSERT_EQ(out.find("benchmarks")->array()->size(), 6u);
  for (const Json& row : *out.find("benchmarks")->array()) {
    const bool is_load = row.find("name")->string()->ends_with("/load");
    for (const char* counter : {"peakRSS", "planned"}) EXPECT_GT(row.find(counter)->number().value_or(0), 1e5) << counter;
    if (is_load) continue;
    for (const char* counter : {"tok/s", "ms/tok", "B/tok", "GB/s", "%limit"}) {
      ASSERT_NE(row.find(counter), nullptr) << counter;
      EXPECT_GT(row.find(counter)->number().value_or(0), 0) << counter;
    }
  }

  const auto records = read_records<ModelRun>("r.jsonl");
  ASSERT_EQ(records.size(), 6u);
  for (const ModelRun& record : records) {
    EXPECT_EQ(record.schema, kModelRunSchema);
    EXPECT_EQ(record.status, Status::ok) << record.reason;
    EXPECT_EQ(record.settings.threads, 1);
    EXPECT_FALSE(record.settings.isa.empty());
    EXPECT_GE(record.samples_ms.size(), 1u);
    EXPECT_EQ(record.time_ms.count, record.samples_ms.size());
    ASSERT_TRUE(record.agreement);
    EXPECT_TRUE(record.agreement->passed);
    EXPECT_GT(record.planned.weights_bytes, 500'000u);
    EXPECT_GT(record.memory.peak_bytes, record.planned.kv_bytes);
    EXPECT_EQ(record.model.context, 512u);
    EXPECT_NEAR(static_cast<double>(record.model.parameters), 1.25e6, 0.02e6);
    EXPECT_FALSE(record.host.cpu_model.empty());
    EXPECT_EQ(record.build.commit.empty(), false);
  }
  const ModelRun& decode = records[1];
  ASSERT_EQ(decode.kind, "decode");
  EXPECT_NEAR(*decode.tokens_per_s * *decode.ms_per_token, 1000, 1e-6);
  EXPECT_NEAR(*decode.gbps * 1e9, *decode.bytes_per_token * *decode.tokens_per_s, 1);
  EXPECT_LE(*decode.token_p50_ms, *decode.token_p99_ms);
  EXPECT_EQ(decode.limit, "read_all_gbps");
  EXPECT_EQ(records[0].limit, "int8_dot_all_gmacs");
}

TEST_F(Programs, WrongAnswerIsAnErrorRowAndExitOne) {
  // The golden logits of these very weights, and the same with the sign turned from the 41st position on.
  for (const char* name : {"logits.json", "logits_q4_k_m.f32.bin"}) std::filesystem::copy_file(test::fixture("golden/nano-frankenstein") / name, path(name));
  const std::string arguments = q4_ + quick_ + "--records " + path("r.jsonl") + " --check-against " + path("logits_q4_k_m.f32.bin");
  const Outcome right = run("bench_models", arguments);
  EXPECT_EQ(right.exit_code, 0) << right.errors;
  EXPECT_EQ(read_records<ModelRun>("r.jsonl")[0].agreement->against, "logits_q4_k_m.f32.bin");

  auto logits = test::read_values<float>(path("logits_q4_k_m.f32.bin"));
  for (std::size_t at = 40 * 512; at < logits.size(); ++at) logits[at] = -logits[at];
  std::ofstream(path("logits_q4_k_m.f32.bin"), std::ios::binary)
      .write(reinterpret_cast<const char*>(logits.data()), static_cast<std::streamsize>(logits.size() * sizeof(float)));
  std::filesystem::remove(path("r.jsonl"));
  const Outcome wrong = run("bench_models", arguments + " --benchmark_out=" + path("out.json"));
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_NE(wrong.output.find("ERROR"), std::string::npos);
  EXPECT_NE(wrong.output.find("wrong answer against logits_q4_k_m.f32.bin"), std::string::npos) << wrong.output;
  EXPECT_EQ(wrong.output.find("tok/s="), std::string::npos);
  const Json out = test::read_json(path("out.json"));
  for (const Json& row : *out.find("benchmarks")->array()) {
    EXPECT_EQ(row.find("error_occurred")->boolean(), true);
    EXPECT_EQ(row.find("tok/s"), nullptr) << "a wrong case is never a number";
  }
  for (const ModelRun& record : read_records<ModelRun>("r.jsonl")) {
    EXPECT_EQ(record.status, Status::wrong_answer);
    EXPECT_FALSE(record.agreement->passed);
    EXPECT_TRUE(record.samples_ms.empty());
    EXPECT_FALSE(record.tokens_per_s);
  }
}

TEST_F(Programs, FileThatCannotBeOpenedIsAnErrorRowAndTheOthersGoOn) {
  const std::string broken = test::fixture("corrupt/gguf/trunc_in_kv.gguf").string();
  const Outcome ran = run("bench_models", "no/such.gguf " + broken + " " + q4_ + quick_ + "--prompt 16 --gen 4 --records " + path("r.jsonl"));
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_NE(ran.errors.find("bench_models: error: no/such.gguf"), std::string::npos) << ran.errors;
  EXPECT_NE(ran.errors.find("trunc_in_kv.gguf"), std::string::npos);
  EXPECT_NE(ran.output.find("such/prefill/16"), std::string::npos);
  EXPECT_NE(ran.output.find("nano-frankenstein-Q4_K_M/prefill/16"), std::string::npos);
  const auto records = read_records<ModelRun>("r.jsonl");
  ASSERT_EQ(records.size(), 9u);
  EXPECT_EQ(records[0].status, Status::invalid_file);
  EXPECT_NE(records[0].reason.find("no/such.gguf"), std::string::npos);
  EXPECT_EQ(records[6].status, Status::ok);
  EXPECT_EQ(records[6].settings.prompt_tokens, 16u);
}

TEST_F(Programs, CasesAreCutToTheModelsContext) {
  const Outcome listed = run("bench_models", q4_ + " --prompt 4096 --gen 64 --depth 500 --benchmark_list_tests");
  EXPECT_EQ(listed.exit_code, 0);
  EXPECT_EQ(listed.output, "nano-frankenstein-Q4_K_M/prefill/12/d500\nnano-frankenstein-Q4_K_M/decode/12/d500\nnano-frankenstein-Q4_K_M/load\n");
  const Outcome ran = run("bench_models", q4_ + quick_ + "--prompt 4096 --gen 64 --depth 500");
  EXPECT_EQ(ran.exit_code, 0) << ran.errors << ran.output;
  const Outcome full = run("bench_models", q4_ + quick_ + "--depth 512");
  EXPECT_EQ(full.exit_code, 3);
  EXPECT_NE(full.output.find("does not leave room"), std::string::npos) << full.output;
}

TEST_F(Programs, FilterChoosesCasesAndOnlyTheirModelsAreChecked) {
  const Outcome ran = run("bench_models", q4_ + " " + model("nano-frankenstein/hf-sharded") + quick_ + "--gen 4 --benchmark_filter=sharded/decode");
  EXPECT_EQ(ran.exit_code, 0) << ran.errors;
  EXPECT_NE(ran.output.find("hf-sharded/decode/4"), std::string::npos);
  EXPECT_EQ(ran.output.find("prefill"), std::string::npos);
  EXPECT_EQ(ran.output.find("Q4_K_M"), std::string::npos);
}

TEST_F(Programs, RepetitionsKeepEverySample) {
  const Outcome ran = run("bench_models", q4_ + quick_ + "--gen 4 --benchmark_filter=decode --benchmark_repetitions=3 --records " + path("r.jsonl"));
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_NE(ran.output.find("decode/4_median"), std::string::npos);
  EXPECT_NE(ran.output.find("decode/4_cv"), std::string::npos);
  const auto records = read_records<ModelRun>("r.jsonl");
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].samples_ms.size() % 3, 0u);
}

TEST_F(Programs, CommandLineMistakesAreTold) {
  EXPECT_EQ(run("bench_models", "").exit_code, 2);
  EXPECT_NE(run("bench_models", "").errors.find("no model"), std::string::npos);
  EXPECT_EQ(run("bench_models", q4_ + " --no-such-option").exit_code, 2);
  EXPECT_EQ(run("bench_models", q4_ + " --backend gpu").exit_code, 2);
  EXPECT_EQ(run("bench_models", q4_ + " --benchmark_nonsense=1").exit_code, 2);
  const Outcome nothing = run("bench_models", q4_ + " --benchmark_filter=nothing");
  EXPECT_EQ(nothing.exit_code, 2);
  EXPECT_NE(nothing.errors.find("--benchmark_filter"), std::string::npos) << nothing.errors;
  EXPECT_EQ(run("bench_models", q4_ + " --records /no/such/folder/r.jsonl").exit_code, 3);
  EXPECT_EQ(run("bench_models", q4_ + " --benchmark_out=/no/such/folder/o.json").exit_code, 3);
}

TEST_F(Programs, HelpTeaches) {
  for (const char* program : {"bench_models", "bench_kernels"}) {
    const Outcome help = run(program, "--help");
    EXPECT_EQ(help.exit_code, 0);
    for (const char* text : {"Examples:", "--benchmark_filter", "--records", "Exit codes:"}) EXPECT_NE(help.output.find(text), std::string::npos) << program << " " << text;
    EXPECT_EQ(help.output.find("--check-one"), std::string::npos) << "hidden";
    const Outcome version = run(program, "--version");
    EXPECT_EQ(version.exit_code, 0);
    EXPECT_NE(version.output.find("commit"), std::string::npos);
  }
}

TEST_F(Programs, EveryOutputFormIsWellFormed) {
  const Outcome json = run("bench_models", q4_ + quick_ + "--gen 4 --benchmark_filter=decode --benchmark_format=json");
  EXPECT_EQ(json.exit_code, 0);
  EXPECT_TRUE(parse_json(json.output)) << json.output;
  const Outcome csv = run("bench_models", "nothing.gguf " + q4_ + quick_ + "--gen 4 --benchmark_format=csv");
  EXPECT_EQ(csv.exit_code, 3);
  EXPECT_TRUE(csv.output.starts_with("name,iterations")) << csv.output;
  EXPECT_EQ(std::count(csv.output.begin(), csv.output.end(), '\n'), 7);
}

TEST_F(Programs, KernelsAreCheckedMeasuredAndRecorded) {
  const Outcome ran = run("bench_kernels", model("nano-frankenstein/hf-sharded") + " --weights-mib 1 --benchmark_min_time=0.001 --records " + path("k.jsonl") +
                                               " --benchmark_filter='(dequantize|dot|gemm|stream)/(Q4_K|Q6_K|F16|MLX_Q4|NF4|F8_E4M3|IQ2_XS)/|attention|prompt|norm|gate|^quantize|sampler|tokenizer|memory/read/1|peak/int8.*/1'");
  ASSERT_EQ(ran.exit_code, 0) << ran.errors << ran.output;
  EXPECT_NE(ran.errors.find("GB/s read"), std::string::npos) << "the machine's bandwidth stands beside the table";
  std::set<std::string> names;
  for (const KernelRun& record : read_records<KernelRun>("k.jsonl")) {
    names.insert(record.case_name);
    EXPECT_EQ(record.schema, kKernelRunSchema);
    EXPECT_EQ(record.status, Status::ok) << record.reason;
    EXPECT_EQ(record.samples_ns.size(), 1u);
    const bool is_from_memory = record.kind == "stream" || record.kind == "dot" || record.case_name.starts_with("attention/");
    EXPECT_EQ(record.read_percent.value_or(0) > 0, is_from_memory) << record.case_name;
    EXPECT_EQ(record.write_percent.value_or(0) > 0, record.kind == "stream") << record.case_name;
    EXPECT_EQ(record.peak_percent.value_or(0) > 0, record.kind == "gemm") << record.case_name;
    EXPECT_EQ(record.values_per_s.value_or(0) > 0, record.kind != "memory") << record.case_name;
    EXPECT_GT(record.limits.copy_1_gbps.value_or(0), 0);
  }
  for (const char* name : {"dequantize/Q4_K/reference", "dequantize/Q4_K/scalar", "dot/Q6_K/scalar", "dot/NF4/reference", "stream/Q4_K/scalar", "attention/scalar", "prompt/scalar", "norm/scalar", "gate/scalar", "quantize/scalar", "sampler/greedy", "sampler/sample", "tokenizer/hf-sharded/encode", "memory/read/1"})
    EXPECT_TRUE(names.contains(name)) << name;
}

TEST_F(Programs, KernelNamesCoverEveryWeightFormatAndIsa) {
  const Outcome listed = run("bench_kernels", "--benchmark_list_tests");
  EXPECT_EQ(listed.exit_code, 0);
  for (const DtypeRow& row : kDtypes) {
    if (!row.is_weight) continue;
    EXPECT_NE(listed.output.find("dequantize/" + std::string(row.name) + "/reference\n"), std::string::npos) << row.name;
    EXPECT_NE(listed.output.find("dot/" + std::string(row.name) + "/reference\n"), std::string::npos) << row.name;
  }
  EXPECT_EQ(run("bench_kernels", "nothing.gguf --benchmark_filter=tokenizer --benchmark_min_time=0.001").exit_code, 3);
}

}  // namespace
}  // namespace assay
