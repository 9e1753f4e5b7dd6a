// Conversions between GGUF, Hugging Face and MLX: the same weights on the other side, keys and tokenizers carried over.
#include "runtime/model/convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "runtime/formats/gguf_writer.h"
#include "runtime/model/model.h"
#include "runtime/model/tokenizer.h"
#include "runtime/quant/dequantize.h"
#include "tests/support/data.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using test::fixture;
using test::TemporaryFolder;

const fs::path kNano = fixture("models/nano-frankenstein");
const fs::path kNanoF16 = kNano / "gguf/nano-frankenstein-F16.gguf";

ModelFile opened(const fs::path& path) {
  auto file = open_model(path);
  EXPECT_TRUE(file) << file.error().message();
  return std::move(*file);
}

ConvertOptions gguf_options(std::string_view mix) {
  ConvertOptions options;
  options.mix = *mix_from_name(mix);
  options.threads = 2;
  return options;
}
ConvertOptions folder_options(ConvertKind kind, FormatId format) {
  ConvertOptions options;
  options.kind = kind;
  options.format = format;
  return options;
}

ConvertReport converted(const fs::path& in, const fs::path& out, const ConvertOptions& options) {
  const ModelFile file = opened(in);
  auto report = convert_model(file, out, options, ignore_progress);
  EXPECT_TRUE(report) << report.error().message();
  return report ? std::move(*report) : ConvertReport();
}

std::vector<float> values_of(const TensorView& tensor) {
  EXPECT_TRUE(check_dequantizable(tensor)) << tensor.name;
  std::vector<float> values(tensor.count());
  for (std::uint64_t row = 0; row < tensor.rows(); ++row) dequantize_row(tensor, row, std::span(values).subspan(row * tensor.cols(), tensor.cols()));
  return values;
}

double error_between(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  return std::sqrt(sum);
}

void expect_same_tensors(const ModelFile& a, const ModelFile& b) {
  EXPECT_EQ(a.tensors.size(), b.tensors.size());
  for (const TensorView& tensor : b.tensors) {
    const TensorView* other = a.find(tensor.name);
    ASSERT_NE(other, nullptr) << tensor.name;
    EXPECT_EQ(other->shape, tensor.shape) << tensor.name;
    ASSERT_EQ(name_of(other->format), name_of(tensor.format)) << tensor.name;
    ASSERT_EQ(other->data.size(), tensor.data.size()) << tensor.name;
    EXPECT_EQ(std::memcmp(other->data.data(), tensor.data.data(), tensor.data.size()), 0) << tensor.name;
  }
}

// Bound: the project's 1 % on the root mean square error of every tensor, against llama-quantize's own file.
TEST(Convert, QuantisesAsWellAsTheReferenceTool) {
  TemporaryFolder folder;
  const fs::path out = folder.path() / "q4.gguf";
  converted(kNanoF16, out, gguf_options("Q4_K_M"));
  const ModelFile source = opened(kNanoF16), ours = opened(out), theirs = opened(kNano / "gguf/nano-frankenstein-Q4_K_M.gguf");
  ASSERT_EQ(ours.tensors.size(), theirs.tensors.size());
  for (const TensorView& tensor : theirs.tensors) {
    const TensorView* other = ours.find(tensor.name);
    ASSERT_NE(other, nullptr) << tensor.name;
    EXPECT_EQ(name_of(other->format), name_of(tensor.format)) << tensor.name;
    const auto truth = values_of(*source.find(tensor.name));
    EXPECT_LE(error_between(values_of(*other), truth), 1.01 * error_between(values_of(tensor), truth)) << tensor.name;
  }
  EXPECT_EQ(ours.metadata.entries().size(), theirs.metadata.entries().size());
  EXPECT_EQ(*ours.metadata.unsigned_integer("general.file_type"), 15u);
  EXPECT_EQ(*ours.metadata.unsigned_integer("general.quantization_version"), 2u);
}

TEST(Convert, GivesTheSameBytesAtAnyThreadCount) {
  TemporaryFolder folder;
  auto options = gguf_options("Q3_K_M");
  converted(kNanoF16, folder.path() / "two.gguf", options);
  options.threads = 1;
  converted(kNanoF16, folder.path() / "one.gguf", options);
  EXPECT_EQ(test::read_text(folder.path() / "one.gguf"), test::read_text(folder.path() / "two.gguf"));
}

TEST(Convert, MakesTheFixtureGgufFromItsShards) {
  TemporaryFolder folder;
  const fs::path out = folder.path() / "f16.gguf";
  const auto report = converted(kNano / "hf-sharded", out, gguf_options("F16"));
  EXPECT_TRUE(report.notes.empty()) << report.notes.front();
  const ModelFile ours = opened(out), theirs = opened(kNanoF16);
  expect_same_tensors(ours, theirs);
  for (const MetaEntry& entry : theirs.metadata.entries()) {
    if (entry.key.starts_with("general.")) continue;
    const MetaEntry* other = ours.metadata.find(entry.key);
    ASSERT_NE(other, nullptr) << entry.key;
    EXPECT_EQ(other->type, entry.type) << entry.key;
    if (const auto* array = std::get_if<MetaArray>(&entry.value)) {
      const auto& bytes = std::get<MetaArray>(other->value).bytes;
      ASSERT_EQ(bytes.size(), array->bytes.size()) << entry.key;
      EXPECT_EQ(std::memcmp(bytes.data(), array->bytes.data(), bytes.size()), 0) << entry.key;
    } else if (const auto* text = std::get_if<std::string_view>(&entry.value)) {
      EXPECT_EQ(std::get<std::string_view>(other->value), *text) << entry.key;
    } else if (const auto* number = std::get_if<std::uint64_t>(&entry.value)) {
      EXPECT_EQ(std::get<std::uint64_t>(other->value), *number) << entry.key;
    } else if (const auto* real = std::get_if<double>(&entry.value)) {
      EXPECT_EQ(std::get<double>(other->value), *real) << entry.key;
    }
  }
}

// Row order of Q and K, QK norms, explicit head sizes, scaled rope: F32 both ways, so every byte must be the same.
TEST(Convert, MakesTheGgufOfEveryFamilyFromItsFolder) {
  for (const char* family : {"llama", "llama-nemo", "qwen3", "qwen2", "phi2", "gemma2", "chatglm", "glm4"}) {
    TemporaryFolder folder;
    const fs::path source = fixture("architectures") / family;
    converted(source / "hf", folder.path() / "out.gguf", gguf_options("F32"));
    const ModelFile ours = opened(folder.path() / "out.gguf"), theirs = opened(source / "model.gguf");
    const TensorView* factors = ours.find("rope_freqs.weight");
    EXPECT_EQ(factors != nullptr, theirs.find("rope_freqs.weight") != nullptr) << family;
    EXPECT_EQ(ours.tensors.size(), theirs.tensors.size()) << family;
    for (const TensorView& tensor : theirs.tensors) {
      ASSERT_NE(ours.find(tensor.name), nullptr) << tensor.name;
      const auto a = values_of(*ours.find(tensor.name)), b = values_of(tensor);
      ASSERT_EQ(a.size(), b.size()) << tensor.name;
      // The factors were computed in another precision there: a few units in the last place.
      for (std::size_t i = 0; i < a.size(); ++i) {
        if (&tensor == theirs.find("rope_freqs.weight")) ASSERT_NEAR(a[i], b[i], 1e-5f * std::fabs(b[i]));
        else ASSERT_EQ(a[i], b[i]) << family << " " << tensor.name << " " << i;
      }
    }
    const auto config = read_config(ours), expected = read_config(theirs);
    ASSERT_TRUE(config && expected);
    EXPECT_EQ(config->head_dim, expected->head_dim);
    EXPECT_EQ(config->kv_heads, expected->kv_heads);
    EXPECT_EQ(config->rope.base, expected->rope.base);
    EXPECT_EQ(config->norm_epsilon, expected->norm_epsilon);
  }
}

TEST(Convert, GoesToAFolderAndBackWithoutLoss) {
  for (const fs::path& source : {kNanoF16, fixture("architectures/llama/model.gguf"), fixture("architectures/qwen3-yarn/model.gguf")}) {
    TemporaryFolder folder;
    const bool is_f16 = source == kNanoF16;
    converted(source, folder.path() / "hf", folder_options(ConvertKind::safetensors, is_f16 ? FormatId::F16 : FormatId::F32));
    converted(folder.path() / "hf", folder.path() / "back.gguf", gguf_options(is_f16 ? "F16" : "F32"));
    const ModelFile ours = opened(folder.path() / "back.gguf"), theirs = opened(source);
    EXPECT_EQ(ours.tensors.size(), theirs.tensors.size());
    for (const TensorView& tensor : theirs.tensors) {
      if (tensor.name == "rope_freqs.weight") continue;
      ASSERT_NE(ours.find(tensor.name), nullptr) << tensor.name;
      EXPECT_EQ(values_of(*ours.find(tensor.name)), values_of(tensor)) << tensor.name;
    }
    const auto config = read_config(ours), expected = read_config(theirs);
    ASSERT_TRUE(config && expected);
    EXPECT_EQ(config->rope.scaling, expected->rope.scaling);
    EXPECT_EQ(config->rope.factor, expected->rope.factor);
    EXPECT_EQ(config->rope.original_context, expected->rope.original_context);
    EXPECT_EQ(config->context, expected->context);
  }
}

TEST(Convert, WritesMlxFoldersThatOpenAgain) {
  const ModelFile source = opened(kNano / "hf-sharded");
  for (const FormatId format : {FormatId::MLX_Q4, FormatId::MLX_Q8}) {
    TemporaryFolder folder;
    auto options = folder_options(ConvertKind::mlx, format);
    options.overrides = {{"blk.1.ffn_down.weight", FormatId::MLX_Q6}, {"blk.0.attn_v.weight", FormatId::BF16}};
    const auto report = converted(kNanoF16, folder.path() / "mlx", options);
    const ModelFile mlx = opened(folder.path() / "mlx");
    EXPECT_TRUE(mlx.is_mlx);
    ASSERT_TRUE(bind_model(mlx)) << bind_model(mlx).error().message();
    for (const TensorView& tensor : source.tensors) {
      const TensorView* other = mlx.find(tensor.name);
      ASSERT_NE(other, nullptr) << tensor.name;
      const auto truth = values_of(tensor);
      const double relative = error_between(values_of(*other), truth) / error_between(truth, std::vector<float>(truth.size()));
      // Normal-like weights in groups of 64: about 8 % at 4 bits, 0.5 % at 8.
      EXPECT_LE(relative, other->format == FormatId::MLX_Q4 ? 0.09 : other->format == FormatId::MLX_Q6 ? 0.025 : 0.006) << tensor.name;
    }
    EXPECT_EQ(mlx.find("model.layers.1.mlp.down_proj.weight")->format, FormatId::MLX_Q6);
    EXPECT_EQ(mlx.find("model.layers.0.self_attn.v_proj.weight")->format, FormatId::BF16);
  }
}

TEST(Convert, IsNoWorseThanTheMlxFixture) {
  TemporaryFolder folder;
  converted(kNano / "hf-sharded", folder.path() / "mlx", folder_options(ConvertKind::mlx, FormatId::MLX_Q4));
  const ModelFile source = opened(kNano / "hf-sharded"), ours = opened(folder.path() / "mlx"), theirs = opened(kNano / "mlx-4bit");
  for (const TensorView& tensor : theirs.tensors) {
    const auto truth = values_of(*source.find(tensor.name));
    ASSERT_NE(ours.find(tensor.name), nullptr) << tensor.name;
    EXPECT_LE(error_between(values_of(*ours.find(tensor.name)), truth), 1.01 * error_between(values_of(tensor), truth)) << tensor.name;
  }
}

TEST(Convert, WritesFp8FoldersThatOpenAgain) {
  TemporaryFolder folder;
  converted(kNano / "hf-sharded", folder.path() / "fp8", folder_options(ConvertKind::safetensors, FormatId::F8_E4M3));
  const ModelFile source = opened(kNano / "hf-sharded"), fp8 = opened(folder.path() / "fp8");
  for (const TensorView& tensor : source.tensors) {
    const auto truth = values_of(tensor);
    const double relative = error_between(values_of(*fp8.find(tensor.name)), truth) / error_between(truth, std::vector<float>(truth.size()));
    EXPECT_LE(relative, 0.03) << tensor.name;  // 4 significant bits: 1/16 at most, about 2.6 % in the mean square
  }
  EXPECT_EQ(fp8.find("model.layers.0.mlp.up_proj.weight")->format, FormatId::F8_E4M3);
  EXPECT_EQ(fp8.find("model.embed_tokens.weight")->format, FormatId::BF16);
}

TEST(Convert, WritesFourBitFoldersThatOpenAgain) {
  for (const FormatId format : {FormatId::NF4, FormatId::FP4}) {
    TemporaryFolder folder;
    converted(kNano / "hf-sharded", folder.path() / "four", folder_options(ConvertKind::safetensors, format));
    const ModelFile source = opened(kNano / "hf-sharded"), four = opened(folder.path() / "four");
    ASSERT_TRUE(bind_model(four)) << bind_model(four).error().message();
    for (const TensorView& tensor : source.tensors) {
      ASSERT_NE(four.find(tensor.name), nullptr) << tensor.name;
      const auto truth = values_of(tensor);
      const double relative = error_between(values_of(*four.find(tensor.name)), truth) / error_between(truth, std::vector<float>(truth.size()));
      EXPECT_LE(relative, format == FormatId::NF4 ? 0.10 : 0.14) << tensor.name;  // 16 levels over normal-like runs of 64
    }
    EXPECT_EQ(four.find("model.layers.0.mlp.up_proj.weight")->format, format);
  }
}

TEST(Convert, CarriesTheTokenizerBothWays) {
  const std::string text = "It was on a dreary night of November, that I beheld the accomplishment of my toils: 1818's Ingolstadt!\n\n  \xc3\xa9t\xc3\xa9";
  for (const char* name : {"nano-frankenstein/gguf/nano-frankenstein-F16.gguf", "tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf"}) {
    TemporaryFolder folder;
    converted(fixture("models") / name, folder.path() / "hf", folder_options(ConvertKind::safetensors, FormatId::BF16));
    converted(folder.path() / "hf", folder.path() / "back.gguf", gguf_options("Q8_0"));
    const ModelFile first = opened(fixture("models") / name), second = opened(folder.path() / "hf"), third = opened(folder.path() / "back.gguf");
    const auto a = Tokenizer::open(first), b = Tokenizer::open(second), c = Tokenizer::open(third);
    ASSERT_TRUE(a && b && c);
    EXPECT_EQ(a->encode(text), b->encode(text)) << name;
    EXPECT_EQ(a->encode(text), c->encode(text)) << name;
    EXPECT_EQ(a->pre_tokenizer(), c->pre_tokenizer()) << name;
    EXPECT_EQ(a->adds_bos(), c->adds_bos()) << name;
    EXPECT_EQ(a->bos(), b->bos()) << name;
    EXPECT_EQ(a->eos(), c->eos()) << name;
  }
}

TEST(Convert, CopiesTokenizerFilesBetweenFolders) {
  TemporaryFolder folder;
  converted(kNano / "hf-sharded", folder.path() / "mlx", folder_options(ConvertKind::mlx, FormatId::MLX_Q8));
  EXPECT_EQ(test::read_text(folder.path() / "mlx/tokenizer.json"), test::read_text(kNano / "hf-sharded/tokenizer.json"));
  EXPECT_TRUE(fs::exists(folder.path() / "mlx/tokenizer_config.json"));
}

TEST(Convert, SaysWhatItDoesNotCarry) {
  TemporaryFolder folder;
  const auto report = converted(fixture("architectures/qwen3/hf"), folder.path() / "out.gguf", gguf_options("Q8_0"));
  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_NE(report.notes[0].find("no tokenizer.json"), std::string::npos) << report.notes[0];
  const auto again = converted(kNano / "gguf/nano-frankenstein-Q8_0.gguf", folder.path() / "again.gguf", gguf_options("Q4_0"));
  ASSERT_EQ(again.notes.size(), 1u);
  EXPECT_NE(again.notes[0].find("already quantised (Q8_0)"), std::string::npos) << again.notes[0];
}

TEST(Convert, CountsBitsAndError) {
  TemporaryFolder folder;
  auto options = gguf_options("Q8_0");
  options.measure_error = true;
  const auto report = converted(kNanoF16, folder.path() / "out.gguf", options);
  EXPECT_EQ(report.values, 1246464u);
  EXPECT_NEAR(report.bits_per_weight(), 8.5, 0.05);  // 34 bytes for 32 values, norms in F32 beside
  const auto row = std::ranges::find(report.formats, FormatId::Q8_0, &ConvertedFormat::format);
  ASSERT_NE(row, report.formats.end());
  EXPECT_GT(row->squared_error, 0);
  EXPECT_LT(std::sqrt(row->squared_error / row->squared_value), 0.006);
}

TEST(Convert, NamesTensorRowAndColumnOfABadWeightAndLeavesNoFile) {
  TemporaryFolder folder;
  std::vector<float> values(4 * 256, 0.5f);
  values[2 * 256 + 7] = std::numeric_limits<float>::quiet_NaN();
  GgufWriter writer;
  writer.set_string("general.architecture", "llama");
  ASSERT_TRUE(writer.add_tensor("blk.0.ffn_up.weight", FormatId::F32, {4, 256}));
  ASSERT_TRUE(writer.begin(folder.path() / "bad.gguf"));
  ASSERT_TRUE(writer.write(std::as_bytes(std::span(values))));
  ASSERT_TRUE(writer.finish());
  const ModelFile file = opened(folder.path() / "bad.gguf");
  for (const char* type : {"Q8_0", "Q4_K_M", "F16"}) {
    const auto result = convert_model(file, folder.path() / "out.gguf", gguf_options(type), ignore_progress);
    ASSERT_FALSE(result) << type;
    EXPECT_NE(result.error().message().find("blk.0.ffn_up.weight row 2, column 7"), std::string::npos) << result.error().message();
  }
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder.path())) ++files;
  EXPECT_EQ(files, 1u) << "only the input is left";
}

TEST(Convert, StopsWhenAskedAndLeavesNoFile) {
  TemporaryFolder folder;
  const ModelFile file = opened(kNanoF16);
  const auto stop = [](const ProgressEvent& event) { return event.done == 0; };
  const auto result = convert_model(file, folder.path() / "out.gguf", gguf_options("Q8_0"), stop);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::interrupted);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(Convert, TakesOverridesByNameAndRefusesThoseThatMatchNothing) {
  TemporaryFolder folder;
  auto options = gguf_options("Q4_0");
  options.overrides = {{"blk.*.attn_v.weight", FormatId::Q8_0}, {"blk.1.*", FormatId::Q6_K}};
  converted(kNanoF16, folder.path() / "out.gguf", options);
  const ModelFile file = opened(folder.path() / "out.gguf");
  EXPECT_EQ(file.find("blk.1.attn_v.weight")->format, FormatId::Q8_0) << "the first match counts";
  EXPECT_EQ(file.find("blk.1.ffn_up.weight")->format, FormatId::Q6_K);
  EXPECT_EQ(file.find("blk.0.ffn_up.weight")->format, FormatId::Q4_0);
  const ModelFile source = opened(kNanoF16);
  options.overrides = {{"blk.9.*", FormatId::Q6_K}};
  const auto unmatched = convert_model(source, folder.path() / "x.gguf", options, ignore_progress);
  ASSERT_FALSE(unmatched);
  EXPECT_EQ(unmatched.error().code, Code::usage);
  const ModelFile narrow = opened(fixture("architectures/qwen3/model.gguf"));
  options.overrides = {{"blk.0.ffn_down.weight", FormatId::Q6_K}};
  EXPECT_FALSE(convert_model(narrow, folder.path() / "x.gguf", options, ignore_progress)) << "rows of 80 values";
}

}  // namespace
}  // namespace assay
