// assay info on the fixtures: what it says, as text and as JSON, and the tensors it dumps.
#include <algorithm>

#include "runtime/formats/model_file.h"
#include "runtime/quant/dequantize.h"
#include "tests/apps/command.h"

namespace assay {
namespace {

using test::assay;
using test::expect_error;
using test::fixture;

const std::string kQ4 = fixture("models/nano-frankenstein/gguf/nano-frankenstein-Q4_K_M.gguf");
const std::string kSharded = fixture("models/nano-frankenstein/hf-sharded");
const std::string kMlx = fixture("models/nano-frankenstein/mlx-4bit");

Json info_json(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "info");
  arguments.push_back("--json");
  const auto outcome = assay(arguments);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  auto json = parse_json(outcome.out);
  EXPECT_TRUE(json) << outcome.out;
  return json ? std::move(*json) : Json();
}

std::uint64_t number(const Json& json, std::initializer_list<const char*> path) {
  const Json* at = &json;
  for (const char* key : path) {
    at = at->find(key);
    if (at == nullptr) return ~0ull;
  }
  return at->unsigned_integer().value_or(~0ull);
}

TEST(AssayInfo, TextTellsFormatShapeMixTokenizerAndMemory) {
  const auto outcome = assay({"info", kQ4});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* part :
       {"GGUF v3, 1 file", "2 layers, width 256, FFN 512, 4/1 heads of 64, tied embedding", "1246464 (1.25 million)",
        "4.99 bits per weight, Q4_K_M", "512 trained", "bpe (gpt-2), 512 tokens, BOS 511 not added, EOS 511",
        "Q4_K             12", "KV cache         262 kB"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << "\n" << outcome.out;
}

TEST(AssayInfo, JsonHasSchemaAndTheSameFactsForEveryLayout) {
  for (const std::string& path : {kQ4, kSharded, kMlx}) {
    SCOPED_TRACE(path);
    const Json json = info_json({path});
    EXPECT_EQ(*json.find("schema")->string(), "assay.info.v1");
    EXPECT_EQ(number(json, {"parameters"}), 1246464u);
    EXPECT_EQ(number(json, {"config", "layers"}), 2u);
    EXPECT_EQ(number(json, {"config", "head_dim"}), 64u);
    EXPECT_EQ(number(json, {"tokenizer", "vocabulary"}), 512u);
    // 2 layers x 1 KV head x (64 + 64) values x 2 bytes, at each of 512 positions
    EXPECT_EQ(number(json, {"memory", "kv_bytes"}), 2u * 128 * 2 * 512);
    EXPECT_EQ(number(json, {"memory", "weights_bytes"}), number(json, {"weight_bytes"}));
  }
}

TEST(AssayInfo, TellsWhatOnlySomeFamiliesHave) {
  const auto family = [](const char* name) { return test::fixture("architectures") / name / "model.gguf"; };
  EXPECT_NE(assay({"info", family("deepseek")}).out.find("6 experts of 24, 2 used and 2 shared, from layer 1 on"), std::string::npos);
  EXPECT_NE(assay({"info", family("deepseek2")}).out.find("keys and values of rank 32"), std::string::npos);
  const std::string windows = assay({"info", family("gemma2"), "--context", "64", "--batch", "16"}).out;
  EXPECT_NE(windows.find("window 16 in 2 layers"), std::string::npos) << windows;
  EXPECT_NE(windows.find("256 B a position, 512 B more in the last 16"), std::string::npos) << windows;
  const Json json = info_json({family("gemma2"), "--context", "64", "--batch", "16"});
  // 2 KV heads x (32 + 32) values x 2 bytes, at 64 positions in one layer and at 16 + 15 in two.
  EXPECT_EQ(number(json, {"memory", "kv_bytes"}), 2u * 64 * 2 * (64 + 2 * 31));
  EXPECT_TRUE(json.find("unused_tensors")->array()->empty());
  EXPECT_EQ(number(info_json({family("deepseek")}), {"config", "experts", "shared"}), 2u);
}

TEST(AssayInfo, TellsWhetherThereIsAChatTemplateAndWhetherItCanBeRendered) {
  EXPECT_NE(assay({"info", kQ4}).out.find("chat template  none"), std::string::npos);
  const test::TemporaryFolder folder;
  const std::filesystem::path copy = folder.path() / "model";
  std::filesystem::copy(kSharded, copy);
  const auto told = [&](const char* text) {
    std::ofstream(copy / "chat_template.jinja") << text;
    const Json json = info_json({copy});
    const std::string out = assay({"info", copy}).out;
    const std::size_t at = out.find("chat template");
    return std::pair(*json.find("chat_template")->find("renders")->boolean(), out.substr(at, out.find('\n', at) - at));
  };
  EXPECT_EQ(told("{{ messages[0].content }}<|im_end|>{# <|im_start|> #}"), std::pair(true, std::string("chat template  chat_template.jinja, 53 B, can be rendered (looks like chatml)")));
  EXPECT_EQ(told("{% if tools %}{{ tools | xmlattr }}{% endif %}"), std::pair(true, std::string("chat template  chat_template.jinja, 46 B, can be rendered, as long as it does not reach line 1: the filter \"xmlattr\" is not supported")));
  EXPECT_EQ(told("\n{% include 'x' %}"), std::pair(false, std::string("chat template  chat_template.jinja, 18 B, cannot be rendered: line 2: {% include %} is not supported")));
  EXPECT_EQ(told("{{ messages[7].content }}"), std::pair(false, std::string("chat template  chat_template.jinja, 25 B, cannot be rendered: line 1: the list has no such item")));
}

TEST(AssayInfo, ContextAndKvTypeChangeThePlan) {
  const Json json = info_json({kQ4, "--context", "64", "--kv", "f32"});
  EXPECT_EQ(number(json, {"memory", "context"}), 64u);
  EXPECT_EQ(number(json, {"memory", "kv_bytes"}), 2u * 128 * 4 * 64);
}

TEST(AssayInfo, ListsTensorsAndMetadata) {
  const Json json = info_json({kQ4, "--tensors", "--metadata"});
  EXPECT_EQ(json.find("tensors")->array()->size(), 20u);
  const auto text = assay({"info", kQ4, "--tensors", "--metadata"});
  EXPECT_NE(text.out.find("blk.1.attn_v.weight"), std::string::npos);
  EXPECT_NE(text.out.find("tokenizer.ggml.merges"), std::string::npos);
  EXPECT_NE(text.out.find("255 string"), std::string::npos);
  EXPECT_LT(text.out.size(), 8000u);  // arrays are shortened
}

TEST(AssayInfo, DumpIsTheDecodedTensor) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path() / "x.f32";
  for (const std::string& model : {kQ4, kMlx}) {
    const auto file = open_model(model);
    ASSERT_TRUE(file);
    const TensorView& tensor =
        *std::ranges::find_if(file->tensors, [](const TensorView& view) { return view.shape.size() == 2; });
    ASSERT_EQ(assay({"info", model, "--tensor", tensor.name, "--dump", path}).exit_code, 0);
    const auto values = test::read_values<float>(path);
    ASSERT_EQ(values.size(), tensor.count());
    std::vector<float> row(tensor.cols());
    for (std::uint64_t r = 0; r < tensor.rows(); ++r) {
      dequantize_row(tensor, r, row);
      ASSERT_TRUE(std::equal(row.begin(), row.end(), values.begin() + static_cast<std::ptrdiff_t>(r * tensor.cols())));
    }
    const auto piped = assay({"info", model, "--tensor", tensor.name, "--dump", "-"});
    EXPECT_EQ(piped.out.size(), tensor.count() * 4);
  }
}

TEST(AssayInfo, OneTensorTellsItsRange) {
  const Json json = info_json({kQ4, "--tensor", "blk.0.attn_norm.weight"});
  EXPECT_EQ(*json.find("schema")->string(), "assay.tensor.v1");
  EXPECT_EQ(number(json, {"values"}), 256u);
  EXPECT_EQ(number(json, {"nan"}), 0u);
  EXPECT_LE(*json.find("min")->number(), *json.find("mean")->number());
  EXPECT_LE(*json.find("mean")->number(), *json.find("max")->number());
}

TEST(AssayInfo, UnknownTensorAndUnwritableDumpAreExitCode3) {
  expect_error(assay({"info", kQ4, "--tensor", "attn_q"}), 3, "blk.0.attn_q.weight");
  expect_error(assay({"info", kQ4, "--tensor", "output_norm.weight", "--dump", "/nonexistent/folder/x"}), 3,
               "/nonexistent/folder");
}

TEST(AssayInfo, NoFileMakesItCrashOrDrawOnTheTerminal) {
  for (const char* kind : {"gguf", "safetensors"}) {
    for (const auto& entry : std::filesystem::directory_iterator(fixture(std::string("corrupt/") + kind))) {
      if (entry.path().extension() == ".json") continue;
      const auto outcome = assay({"info", entry.path().string(), "--tensors", "--metadata"});
      EXPECT_TRUE(outcome.exit_code == 0 || outcome.exit_code == 3)
          << entry.path() << " exit " << outcome.exit_code << " " << outcome.err;
      for (const std::string& text : {outcome.out, outcome.err})
        EXPECT_TRUE(std::ranges::none_of(text, [](unsigned char c) { return (c < 0x20 && c != '\n') || c == 0x7f; }))
            << entry.path();
    }
  }
}

}  // namespace
}  // namespace assay
