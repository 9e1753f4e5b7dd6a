// Synthetic models: valid files in every format and layout, sane weights, a tokenizer that works, bounded memory.
#include "runtime/engine/synth.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "runtime/engine/synth_fill.h"
#include "runtime/engine/synth_plan.h"
#include "runtime/engine/synth_vocabulary.h"
#include "runtime/model/model.h"
#include "runtime/model/tokenizer.h"
#include "runtime/model/weights.h"
#include "runtime/quant/all.h"
#include "runtime/quant/dequantize.h"
#include "tests/support/data.h"

namespace assay {
namespace {

using test::TemporaryFolder;

// Two layers, rows that hold whole blocks of 256, a vocabulary with room for bytes, merges and some fillers.
ModelShape tiny_shape(std::string_view like = "llama-3.2-1b") {
  ModelShape shape = *shape_from_name(like);
  shape.name = "tiny";
  shape.layers = 2;
  shape.embedding = 256;
  shape.feed_forward = 512;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 64;
  shape.vocabulary = 700;
  shape.context = 512;
  shape.original_context = 256;
  if (shape.tokenizer == VocabularyKind::bpe) {
    shape.eos.id = shape.bos.id == shape.eos.id ? 698 : 699;
    shape.bos.id = 698;
  }
  return shape;
}

struct Spread {
  double mean = 0, deviation = 0;
  bool is_finite = true;
};
Spread spread_of(const TensorView& tensor) {
  std::vector<float> row(tensor.cols());
  double sum = 0, squares = 0;
  Spread out;
  for (std::uint64_t r = 0; r < tensor.rows(); ++r) {
    dequantize_row(tensor, r, row);
    for (float value : row) {
      out.is_finite = out.is_finite && std::isfinite(value);
      sum += value;
      squares += static_cast<double>(value) * value;
    }
  }
  const auto count = static_cast<double>(tensor.count());
  out.mean = sum / count;
  out.deviation = std::sqrt(squares / count - out.mean * out.mean);
  return out;
}

// Opens, binds, and checks every matrix: finite, deviation 1/sqrt(cols), mean near zero.
void expect_sane(const std::filesystem::path& path, double tolerance) {
  const auto file = open_model(path);
  ASSERT_TRUE(file) << file.error().message();
  const auto model = bind_model(*file);
  ASSERT_TRUE(model) << model.error().message();
  for (const TensorView& tensor : file->tensors) {
    if (tensor.name == "rope_freqs.weight") continue;
    ASSERT_TRUE(check_dequantizable(tensor)) << tensor.name;
    const Spread spread = spread_of(tensor);
    EXPECT_TRUE(spread.is_finite) << tensor.name;
    if (tensor.shape.size() == 1) {
      EXPECT_NEAR(spread.mean, 1, 0.02) << tensor.name;
      continue;
    }
    const double wanted = 1 / std::sqrt(static_cast<double>(tensor.cols()));
    EXPECT_NEAR(spread.deviation / wanted, 1, tolerance) << tensor.name << " " << name_of(tensor.format);
    EXPECT_LT(std::abs(spread.mean) / wanted, 0.05) << tensor.name << " " << name_of(tensor.format);
  }
}

// Block scales take 16 sizes; a matrix of 32768 values in blocks of 256 has 128 of them, so its deviation has an error
// of about 0.16 / sqrt(128) = 1.4 %, more where sub-scales are random too; five times that is the bound.
constexpr double kTolerance = 0.10;

TEST(Synth, EveryGgufQuantisationOpensBindsAndIsSane) {
  const TemporaryFolder folder;
  for (std::string_view name : mix_names()) {
    SCOPED_TRACE(name);
    const auto path = folder.path() / (std::string(name) + ".gguf");
    const auto made = synthesize(tiny_shape(), name, {}, path, ignore_progress);
    ASSERT_TRUE(made) << made.error().message();
    expect_sane(path, kTolerance);
  }
}

TEST(Synth, EveryBlockFormatHasTheWantedDeviation) {
  for_each_format(BlockFormats{}, []<class F>(std::type_identity<F>) {
    SCOPED_TRACE(name_of(F::kId));
    for (double deviation : {0.03, 1 / std::sqrt(14336.0)}) {
      const auto fill = make_weight_fill(F::kId, deviation);
      ASSERT_TRUE(fill);
      std::vector<typename F::Block> blocks(4096);
      RandomBits bits(5);
      (*fill)(std::as_writable_bytes(std::span(blocks)), bits);
      double sum = 0, squares = 0;
      std::uint8_t levels[F::kBlock];
      for (const auto& block : blocks) {
        levels_of<F>(block, levels);
        for (int i = 0; i < F::kBlock; ++i) {
          const Affine affine = F::affine(block, i / F::kGroup);
          const double value = affine.scale * static_cast<double>(levels[i] - F::kBias) + affine.offset;
          sum += value;
          squares += value * value;
        }
      }
      const double count = 4096.0 * F::kBlock;
      // Measured by decoding 1024 blocks of which some formats spread the scale over a factor of 32: 2 % of noise.
      EXPECT_NEAR(std::sqrt(squares / count) / deviation, 1, 0.03);
      EXPECT_LT(std::abs(sum / count) / deviation, 0.02);
    }
  });
}

TEST(Synth, MlxFolderOpensBindsAndIsSane) {
  for (const char* quant : {"mlx-2bit", "mlx-3bit", "MLX_Q4", "mlx-5bit", "mlx-6bit", "8bit"}) {
    SCOPED_TRACE(quant);
    const TemporaryFolder folder;
    const auto made = synthesize(tiny_shape("qwen3-0.6b"), quant, {.layout = SynthLayout::mlx}, folder.path() / "model",
                                 ignore_progress);
    ASSERT_TRUE(made) << made.error().message();
    expect_sane(folder.path() / "model", kTolerance);
    const auto file = open_model(folder.path() / "model");
    EXPECT_TRUE(file->is_mlx);
  }
}

TEST(Synth, SafetensorsFolderOpensBindsAndIsSane) {
  for (const char* quant : {"F32", "f16", "BF16", "F8_E4M3", "F8_E5M2"}) {
    SCOPED_TRACE(quant);
    const TemporaryFolder folder;
    const auto made = synthesize(tiny_shape("mistral-7b"), quant, {.layout = SynthLayout::safetensors, .shards = 3},
                                 folder.path() / "model", ignore_progress);
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->files.size(), 3u);
    expect_sane(folder.path() / "model", kTolerance);
  }
}

TEST(Synth, ShardedGgufOpensFromAnyPartAndHoldsAllTensors) {
  const TemporaryFolder folder;
  const ModelShape shape = tiny_shape("qwen3-0.6b");
  const auto made = synthesize(shape, "Q8_0", {.shards = 3}, folder.path() / "m.gguf", ignore_progress);
  ASSERT_TRUE(made) << made.error().message();
  ASSERT_EQ(made->files.size(), 3u);
  EXPECT_EQ(made->files[1].filename(), "m-00002-of-00003.gguf");
  for (const auto& part : made->files) {
    const auto file = open_model(part);
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_EQ(file->tensors.size(), made->tensors);
    EXPECT_TRUE(bind_model(*file));
  }
}

TEST(Synth, ShardsPartTheBytesEvenly) {
  const TemporaryFolder folder;
  const auto made =
      synthesize(tiny_shape("tinyllama-1.1b"), "F16", {.shards = 4}, folder.path() / "m.gguf", ignore_progress);
  ASSERT_TRUE(made) << made.error().message();
  const auto mean = static_cast<double>(made->weight_bytes) / 4;
  // No shard can be cut inside a tensor; the largest is a fourteenth of this model.
  for (const auto& part : made->files)
    EXPECT_NEAR(static_cast<double>(std::filesystem::file_size(part)), mean, mean * 0.4);
}

TEST(Synth, EqualSeedsGiveEqualFilesAtAnyThreadCount) {
  const TemporaryFolder folder;
  const auto write = [&](const char* name, std::uint64_t seed, int threads) {
    const auto made =
        synthesize(tiny_shape(), "Q4_K_M", {.seed = seed, .threads = threads}, folder.path() / name, ignore_progress);
    EXPECT_TRUE(made);
    return test::read_text(folder.path() / name);
  };
  const std::string first = write("a.gguf", 7, 1);
  EXPECT_EQ(first, write("b.gguf", 7, 3));
  EXPECT_NE(first, write("c.gguf", 8, 1));
}

TEST(Synth, TokenizersOfAllKindsRoundTripTextAndAgreeBetweenLayouts) {
  const std::string text =
      "The creature, whom I had seen on the 12th of May, said:\n\t\"Wretch!\" \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80  "
      "end";
  for (const char* name : {"llama-3.2-1b", "tinyllama-1.1b", "smollm-135m", "qwen3-0.6b"}) {
    SCOPED_TRACE(name);
    const TemporaryFolder folder;
    const ModelShape shape = tiny_shape(name);
    ASSERT_TRUE(synthesize(shape, "F16", {}, folder.path() / "m.gguf", ignore_progress));
    ASSERT_TRUE(synthesize(shape, "F16", {.layout = SynthLayout::safetensors}, folder.path() / "hf", ignore_progress));
    const auto gguf = open_model(folder.path() / "m.gguf");
    const auto hf = open_model(folder.path() / "hf");
    ASSERT_TRUE(gguf && hf);
    const auto gguf_tokenizer = Tokenizer::open(*gguf);
    const auto hf_tokenizer = Tokenizer::open(*hf);
    ASSERT_TRUE(gguf_tokenizer) << gguf_tokenizer.error().message();
    ASSERT_TRUE(hf_tokenizer) << hf_tokenizer.error().message();
    const auto ids = gguf_tokenizer->encode(text);
    EXPECT_EQ(ids, hf_tokenizer->encode(text));
    EXPECT_EQ(gguf_tokenizer->decode(ids), text);
    EXPECT_EQ(hf_tokenizer->decode(ids), text);
    EXPECT_LT(ids.size(), text.size());  // merges do merge
    EXPECT_EQ(gguf_tokenizer->vocabulary_size(), shape.vocabulary);
    EXPECT_EQ(gguf_tokenizer->adds_bos(), shape.adds_bos);
  }
}

TEST(Synth, VocabularyIsFullUniqueAndKeepsSpecialTokensInPlace) {
  for (const ModelShape& shape : model_shapes()) {
    SCOPED_TRACE(shape.name);
    const auto vocabulary = make_vocabulary(shape);
    ASSERT_TRUE(vocabulary);
    EXPECT_EQ(vocabulary->tokens.size(), shape.vocabulary);
    EXPECT_EQ(vocabulary->types.size(), shape.vocabulary);
    auto sorted = vocabulary->tokens;
    std::ranges::sort(sorted);
    EXPECT_EQ(std::ranges::adjacent_find(sorted), sorted.end());
    EXPECT_EQ(vocabulary->tokens[static_cast<std::size_t>(shape.bos.id)], shape.bos.text);
    EXPECT_EQ(vocabulary->tokens[static_cast<std::size_t>(shape.eos.id)], shape.eos.text);
  }
}

TEST(Synth, RefusesWhatItCannotMake) {
  const TemporaryFolder folder;
  const auto out = folder.path() / "m.gguf";
  const auto code = [&](std::string_view quant, const SynthOptions& options, const std::filesystem::path& path) {
    const auto made = synthesize(tiny_shape(), quant, options, path, ignore_progress);
    return made ? std::optional<Code>() : std::optional(made.error().code);
  };
  EXPECT_EQ(code("Q9_K", {}, out), Code::usage);
  EXPECT_EQ(code("Q4_K_M", {.layout = SynthLayout::mlx}, folder.path() / "x"), Code::usage);
  EXPECT_EQ(code("Q4_K_M", {.layout = SynthLayout::safetensors}, folder.path() / "x"), Code::usage);
  EXPECT_EQ(code("Q8_0", {.shards = 5000}, out), Code::usage);
  EXPECT_EQ(code("Q8_0", {}, folder.path()), Code::usage);
  EXPECT_EQ(code("Q8_0", {}, folder.path() / "absent" / "m.gguf"), Code::not_found);
  EXPECT_FALSE(code("Q8_0", {}, out));
  EXPECT_EQ(code("Q8_0", {}, out), Code::io);  // exists already
  EXPECT_FALSE(code("Q8_0", {.replaces_files = true}, out));
}

TEST(Synth, TellsMissingSpaceBeforeWriting) {
  ModelShape huge = *shape_from_name("llama-2-13b");
  huge.layers = 1000;
  huge.embedding = 1 << 19;
  huge.feed_forward = 1 << 20;
  const TemporaryFolder folder;
  const auto made = synthesize(huge, "F32", {}, folder.path() / "m.gguf", ignore_progress);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message().find("are needed"), std::string::npos) << made.error().message();
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Synth, AStoppedRunLeavesNothingBehind) {
  for (SynthLayout layout : {SynthLayout::gguf, SynthLayout::safetensors, SynthLayout::mlx}) {
    const TemporaryFolder folder;
    int reports = 0;
    const auto stop = [&](const ProgressEvent&) { return ++reports < 12; };
    const std::string_view quant = layout == SynthLayout::mlx ? "mlx-4bit" : "F16";
    const auto made = synthesize(tiny_shape(), quant, {.layout = layout, .shards = 3}, folder.path() / "m", stop);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::interrupted);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  }
}

TEST(Synth, ProgressEndsAtTheTotal) {
  const TemporaryFolder folder;
  std::uint64_t last = 0, total = 0;
  const auto note = [&](const ProgressEvent& event) {
    EXPECT_GE(event.done, last);
    last = event.done;
    total = event.total;
    return true;
  };
  const auto made = synthesize(tiny_shape(), "Q6_K", {}, folder.path() / "m.gguf", note);
  ASSERT_TRUE(made);
  EXPECT_EQ(last, total);
  EXPECT_EQ(total, made->weight_bytes);
}

TEST(Synth, RopeFactorsLeaveShortWavesAndStretchLongOnes) {
  const auto plan = plan_synth(*shape_from_name("llama-3.2-1b"), "Q8_0", SynthLayout::gguf);
  ASSERT_TRUE(plan);
  const SynthTensor& tensor = plan->tensors.back();
  ASSERT_EQ(tensor.name, "rope_freqs.weight");
  std::vector<float> factors(32);
  RandomBits bits(1);
  plan->fills[tensor.fill](std::as_writable_bytes(std::span(factors)), bits);
  EXPECT_EQ(factors.front(), 1.0f);
  EXPECT_EQ(factors.back(), 32.0f);
  EXPECT_TRUE(std::ranges::is_sorted(factors));
}

TEST(SynthSpec, ParsesShapeAndQuantisation) {
  const auto spec = parse_synth_spec("Qwen-3-0.6B:Q8_0");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->shape->name, "qwen3-0.6b");
  EXPECT_EQ(spec->quant, "Q8_0");
  EXPECT_EQ(parse_synth_spec("mistral-7b")->quant, "Q4_K_M");
  EXPECT_EQ(parse_synth_spec("gpt-5:Q8_0").error().code, Code::usage);
  EXPECT_EQ(parse_synth_spec("mistral-7b:").error().code, Code::usage);
  EXPECT_EQ(layout_for("mlx-4bit"), SynthLayout::mlx);
  EXPECT_EQ(layout_for("Q4_K_M"), SynthLayout::gguf);
}

// Published parameter counts (model cards and safetensors headers).
TEST(Shapes, ParameterCountsAreThePublishedOnes) {
  const auto count = [](std::string_view name) { return parameter_count(*shape_from_name(name)); };
  EXPECT_EQ(count("llama-3.2-1b"), 1235814400u);
  EXPECT_EQ(count("llama-3.2-3b"), 3212749824u);
  EXPECT_EQ(count("llama-3.1-8b"), 8030261248u);
  EXPECT_EQ(count("tinyllama-1.1b"), 1100048384u);
  EXPECT_EQ(count("mistral-7b"), 7241732096u);
  EXPECT_EQ(count("llama-2-7b"), 6738415616u);
  EXPECT_EQ(count("llama-2-13b"), 13015864320u);
  EXPECT_EQ(count("smollm-135m"), 134515008u);
  EXPECT_EQ(count("qwen3-0.6b"), 596049920u);
  EXPECT_EQ(count("qwen3-1.7b"), 1720574976u);
  EXPECT_EQ(count("qwen3-4b"), 4022468096u);
  EXPECT_EQ(count("qwen3-8b"), 8190735360u);
  EXPECT_EQ(count("deepseek-r1-distill-qwen-14b"), 14770033664u);
  EXPECT_EQ(count("phi-2"), 2779683840u);
  EXPECT_EQ(count("gemma-2-2b"), 2614341888u);
  EXPECT_EQ(count("qwen3-30b-a3b"), 30532122624u);
}

TEST(Shapes, NamesAreForgiving) {
  EXPECT_EQ(shape_from_name("QWEN-3-4B")->name, "qwen3-4b");
  EXPECT_EQ(shape_from_name("llama3.2-1b")->name, "llama-3.2-1b");
  EXPECT_EQ(shape_from_name("llama-3.2"), nullptr);
  EXPECT_EQ(shape_from_name(""), nullptr);
}

TEST(Shapes, AWrittenFileReadsBackAsItsShape) {
  const TemporaryFolder folder;
  for (const char* like : {"llama-3.2-1b", "qwen3-4b", "mistral-7b", "smollm-135m", "deepseek-r1-distill-qwen-14b", "phi-2", "gemma-2-2b",
                           "glm-4-9b", "deepseek-vl2-tiny", "qwen3-30b-a3b"}) {
    SCOPED_TRACE(like);
    ModelShape shape = tiny_shape(like);
    if (shape.rotary_fraction < 1) shape.rotary_fraction = 0.5f;  // pairs of the small heads, too
    if (shape.experts.count > 0) {
      shape.experts.count = 4;
      shape.experts.used = 2;
      shape.experts.feed_forward = 32;
    }
    ASSERT_TRUE(synthesize(shape, "Q8_0", {.replaces_files = true}, folder.path() / "m.gguf", ignore_progress));
    ASSERT_TRUE(synthesize(shape, "BF16", {.layout = SynthLayout::safetensors, .replaces_files = true},
                           folder.path() / "hf", ignore_progress));
    for (const char* name : {"m.gguf", "hf"}) {
      const auto file = open_model(folder.path() / name);
      ASSERT_TRUE(file) << file.error().message();
      const auto config = read_config(*file);
      ASSERT_TRUE(config) << config.error().message();
      EXPECT_EQ(config->layers, shape.layers);
      EXPECT_EQ(config->head_dim, shape.head_dim);
      EXPECT_EQ(config->kv_heads, shape.kv_heads);
      EXPECT_EQ(config->vocabulary, shape.vocabulary);
      EXPECT_EQ(config->rope.base, shape.rope_base);
      EXPECT_EQ(config->norm_epsilon, shape.norm_epsilon);
      const auto model = bind_model(*file);
      ASSERT_TRUE(model) << model.error().message();
      EXPECT_EQ(model->is_tied(), shape.is_tied);
      EXPECT_EQ(config->rope.dims, config_of(shape).rope.dims);
      EXPECT_EQ(config->window, shape.window);
      EXPECT_EQ(config->final_soft_cap, shape.final_soft_cap);
      EXPECT_EQ(config->experts.count, shape.experts.count);
      EXPECT_EQ(config->experts.renormalises, shape.experts.renormalises);
      EXPECT_EQ(config->experts.dense_layers, shape.experts.dense_layers);
    }
  }
}

}  // namespace
}  // namespace assay
