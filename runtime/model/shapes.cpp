// The table of shapes. Dimensions are those of the models' published config.json files.
#include "runtime/model/shapes.h"

#include <algorithm>
#include <array>

#include "runtime/model/weights.h"

namespace assay {
namespace {

constexpr SpecialToken kSpmBos{1, "<s>"}, kSpmEos{2, "</s>"};
constexpr SpecialToken kLlama3Bos{128000, "<|begin_of_text|>"}, kLlama3Eos{128001, "<|end_of_text|>"};
constexpr SpecialToken kQwenEnd{151643, "<|endoftext|>"}, kQwenTurn{151645, "<|im_end|>"};
constexpr SpecialToken kPhiEnd{50256, "<|endoftext|>"}, kGlmEnd{151329, "<|endoftext|>"};
constexpr SpecialToken kDeepseekBos{0, "<|begin_of_sentence|>"}, kDeepseekEos{1, "<|end_of_sentence|>"};
constexpr SpecialToken kSmolEnd{0, "<|endoftext|>"};

// What the models of one family share; a row then says only what is its own.
constexpr ModelShape kLlama2 = {.name = "",
                                .architecture = "llama",
                                .hf_model_type = "llama",
                                .hf_class = "LlamaForCausalLM",
                                .layers = 0,
                                .embedding = 0,
                                .feed_forward = 0,
                                .heads = 0,
                                .kv_heads = 0,
                                .head_dim = 128,
                                .vocabulary = 32000,
                                .context = 4096,
                                .norm_epsilon = 1e-5f,
                                .rope_base = 1e4f,
                                .is_tied = false,
                                .tokenizer = VocabularyKind::spm,
                                .pre_tokenizer = "",
                                .bos = kSpmBos,
                                .eos = kSpmEos,
                                .adds_bos = true};
constexpr ModelShape kLlama3 = {.name = "",
                                .architecture = "llama",
                                .hf_model_type = "llama",
                                .hf_class = "LlamaForCausalLM",
                                .layers = 0,
                                .embedding = 0,
                                .feed_forward = 0,
                                .heads = 0,
                                .kv_heads = 8,
                                .head_dim = 128,
                                .vocabulary = 128256,
                                .context = 131072,
                                .norm_epsilon = 1e-5f,
                                .rope_base = 5e5f,
                                .is_tied = true,
                                .tokenizer = VocabularyKind::bpe,
                                .pre_tokenizer = "llama-bpe",
                                .bos = kLlama3Bos,
                                .eos = kLlama3Eos,
                                .adds_bos = true,
                                .scaling = RopeScaling::llama3,
                                .rope_factor = 32,
                                .low_frequency_factor = 1,
                                .high_frequency_factor = 4,
                                .original_context = 8192};
constexpr ModelShape kQwen3 = {.name = "",
                               .architecture = "qwen3",
                               .hf_model_type = "qwen3",
                               .hf_class = "Qwen3ForCausalLM",
                               .layers = 28,
                               .embedding = 0,
                               .feed_forward = 0,
                               .heads = 16,
                               .kv_heads = 8,
                               .head_dim = 128,
                               .vocabulary = 151936,
                               .context = 40960,
                               .norm_epsilon = 1e-6f,
                               .rope_base = 1e6f,
                               .is_tied = true,
                               .tokenizer = VocabularyKind::bpe,
                               .pre_tokenizer = "qwen2",
                               .bos = kQwenEnd,
                               .eos = kQwenTurn,
                               .adds_bos = false};

struct Widths {
  std::uint32_t layers, embedding, feed_forward, heads, kv_heads;
};
constexpr ModelShape with(ModelShape shape, std::string_view name, Widths widths) {
  shape.name = name;
  shape.layers = widths.layers;
  shape.embedding = widths.embedding;
  shape.feed_forward = widths.feed_forward;
  shape.heads = widths.heads;
  shape.kv_heads = widths.kv_heads;
  return shape;
}

constexpr ModelShape llama_3_2_1b() {
  ModelShape shape = with(kLlama3, "llama-3.2-1b", {16, 2048, 8192, 32, 8});
  shape.head_dim = 64;
  return shape;
}
constexpr ModelShape llama_3_1_8b() {
  ModelShape shape = with(kLlama3, "llama-3.1-8b", {32, 4096, 14336, 32, 8});
  shape.is_tied = false;
  shape.rope_factor = 8;
  return shape;
}
constexpr ModelShape tinyllama() {
  ModelShape shape = with(kLlama2, "tinyllama-1.1b", {22, 2048, 5632, 32, 4});
  shape.head_dim = 64;
  shape.context = 2048;
  return shape;
}
constexpr ModelShape mistral_7b() {
  ModelShape shape = with(kLlama2, "mistral-7b", {32, 4096, 14336, 32, 8});
  shape.hf_model_type = "mistral";
  shape.hf_class = "MistralForCausalLM";
  shape.context = 32768;
  shape.rope_base = 1e6f;
  return shape;
}
constexpr ModelShape smollm_135m() {
  ModelShape shape = with(kLlama3, "smollm-135m", {30, 576, 1536, 9, 3});
  shape.head_dim = 64;
  shape.vocabulary = 49152;
  shape.context = 2048;
  shape.rope_base = 1e4f;
  shape.pre_tokenizer = "smollm";
  shape.bos = shape.eos = kSmolEnd;
  shape.adds_bos = false;
  shape.scaling = RopeScaling::none;
  return shape;
}
constexpr ModelShape qwen3_8b() {
  ModelShape shape = with(kQwen3, "qwen3-8b", {36, 4096, 12288, 32, 8});
  shape.is_tied = false;
  return shape;
}

constexpr ModelShape deepseek_r1_14b() {
  ModelShape shape = with(kQwen3, "deepseek-r1-distill-qwen-14b", {48, 5120, 13824, 40, 8});
  shape.architecture = shape.hf_model_type = "qwen2";
  shape.hf_class = "Qwen2ForCausalLM";
  shape.vocabulary = 152064;
  shape.context = 131072;
  shape.norm_epsilon = 1e-5f;
  shape.is_tied = false;
  return shape;
}
constexpr ModelShape phi_2() {
  ModelShape shape = with(kLlama3, "phi-2", {32, 2560, 10240, 32, 32});
  shape.architecture = "phi2";
  shape.hf_model_type = "phi";
  shape.hf_class = "PhiForCausalLM";
  shape.head_dim = 80;
  shape.vocabulary = 51200;
  shape.context = 2048;
  shape.rope_base = 1e4f;
  shape.is_tied = false;
  shape.pre_tokenizer = "phi-2";
  shape.bos = shape.eos = kPhiEnd;
  shape.adds_bos = false;
  shape.scaling = RopeScaling::none;
  shape.rotary_fraction = 0.4f;
  return shape;
}
constexpr ModelShape gemma_2_2b() {
  ModelShape shape = with(kLlama2, "gemma-2-2b", {26, 2304, 9216, 8, 4});
  shape.architecture = shape.hf_model_type = "gemma2";
  shape.hf_class = "Gemma2ForCausalLM";
  shape.head_dim = 256;
  shape.vocabulary = 256000;
  shape.context = 8192;
  shape.norm_epsilon = 1e-6f;
  shape.is_tied = true;
  shape.window = 4096;
  shape.attention_soft_cap = 50;
  shape.final_soft_cap = 30;
  return shape;
}
constexpr ModelShape glm_4_9b() {
  ModelShape shape = with(kLlama3, "glm-4-9b", {40, 4096, 13696, 32, 2});
  shape.architecture = "chatglm";
  shape.hf_model_type = "glm";
  shape.hf_class = "GlmForCausalLM";
  shape.vocabulary = 151552;
  shape.norm_epsilon = 1.5625e-7f;
  shape.rope_base = 5e6f;
  shape.is_tied = false;
  shape.pre_tokenizer = "chatglm-bpe";
  shape.bos = shape.eos = kGlmEnd;
  shape.adds_bos = false;
  shape.scaling = RopeScaling::none;
  shape.rotary_fraction = 0.5f;
  return shape;
}
// The text decoder of DeepSeek-VL2-Tiny.
constexpr ModelShape deepseek_vl2_tiny() {
  ModelShape shape = with(kLlama3, "deepseek-vl2-tiny", {12, 1280, 6848, 10, 10});
  shape.architecture = "deepseek2-ocr";
  shape.hf_model_type = "deepseek_v2";
  shape.hf_class = "DeepseekV2ForCausalLM";
  shape.vocabulary = 129280;
  shape.context = 4096;
  shape.norm_epsilon = 1e-6f;
  shape.rope_base = 1e4f;
  shape.is_tied = false;
  shape.pre_tokenizer = "deepseek-llm";
  shape.bos = kDeepseekBos;
  shape.eos = kDeepseekEos;
  shape.scaling = RopeScaling::none;
  shape.experts = {.count = 64, .used = 6, .feed_forward = 896, .shared = 2, .dense_layers = 1};
  return shape;
}
constexpr ModelShape qwen3_30b_a3b() {
  ModelShape shape = with(kQwen3, "qwen3-30b-a3b", {48, 2048, 6144, 32, 4});
  shape.architecture = "qwen3moe";
  shape.hf_model_type = "qwen3_moe";
  shape.hf_class = "Qwen3MoeForCausalLM";
  shape.is_tied = false;
  shape.experts = {.count = 128, .used = 8, .feed_forward = 768, .renormalises = true};
  return shape;
}

constexpr std::array kShapes = {
    llama_3_2_1b(),
    with(kLlama3, "llama-3.2-3b", {28, 3072, 8192, 24, 8}),
    llama_3_1_8b(),
    tinyllama(),
    mistral_7b(),
    with(kLlama2, "llama-2-7b", {32, 4096, 11008, 32, 32}),
    with(kLlama2, "llama-2-13b", {40, 5120, 13824, 40, 40}),
    smollm_135m(),
    with(kQwen3, "qwen3-0.6b", {28, 1024, 3072, 16, 8}),
    with(kQwen3, "qwen3-1.7b", {28, 2048, 6144, 16, 8}),
    with(kQwen3, "qwen3-4b", {36, 2560, 9728, 32, 8}),
    qwen3_8b(),
    deepseek_r1_14b(),
    phi_2(),
    gemma_2_2b(),
    glm_4_9b(),
    deepseek_vl2_tiny(),
    qwen3_30b_a3b(),
};

// Ways people write the family names, and ours.
struct Spelling {
  std::string_view written, ours;
};
constexpr std::array kSpellings = {Spelling{"qwen-3-", "qwen3-"}, Spelling{"llama3.", "llama-3."},
                                   Spelling{"llama2-", "llama-2-"}};

}  // namespace

std::span<const ModelShape> model_shapes() {
  return kShapes;
}

const ModelShape* shape_from_name(std::string_view name) {
  std::string wanted(name);
  for (char& c : wanted)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  for (const Spelling& spelling : kSpellings)
    if (wanted.starts_with(spelling.written)) wanted.replace(0, spelling.written.size(), spelling.ours);
  const auto found = std::ranges::find(kShapes, wanted, &ModelShape::name);
  return found == kShapes.end() ? nullptr : &*found;
}

std::string known_shapes() {
  std::string names;
  for (const ModelShape& shape : kShapes) {
    if (!names.empty()) names += ", ";
    names += shape.name;
  }
  return names;
}

Config config_of(const ModelShape& shape) {
  Config config;
  config.arch = arch_from_gguf(shape.architecture);
  config.layers = shape.layers;
  config.embedding = shape.embedding;
  config.feed_forward = shape.feed_forward;
  config.heads = shape.heads;
  config.kv_heads = shape.kv_heads;
  config.head_dim = config.value_dim = shape.head_dim;
  config.vocabulary = shape.vocabulary;
  config.context = shape.context;
  config.norm_epsilon = shape.norm_epsilon;
  config.rope.dims = static_cast<std::uint32_t>(static_cast<float>(shape.head_dim) * shape.rotary_fraction);
  config.rope.base = shape.rope_base;
  config.rope.adjacent_pairs = config.arch->gguf_adjacent_pairs;
  config.rope.scaling = shape.scaling;
  config.rope.factor = shape.rope_factor;
  config.rope.original_context = shape.original_context;
  config.rope.low_frequency_factor = shape.low_frequency_factor;
  config.rope.high_frequency_factor = shape.high_frequency_factor;
  config.local_rope = config.rope;
  config.local_rope.base = 10000.0f;
  config.local_rope.scaling = RopeScaling::none;
  config.window = shape.window;
  config.attention_soft_cap = shape.attention_soft_cap;
  config.final_soft_cap = shape.final_soft_cap;
  config.experts = shape.experts;
  finish_config(config);
  return config;
}

std::uint64_t parameter_count(const ModelShape& shape) {
  const Config config = config_of(shape);
  std::uint64_t sum = 0;
  for (const ExpectedTensor& tensor : list_weights(config, Layout::hf, nullptr)) {
    if (tensor.parts[0]->in_model == &Model::output && shape.is_tied) continue;
    std::uint64_t count = 1;
    for (const std::uint64_t size : tensor.shape) count *= size;
    sum += count;
  }
  return sum;
}

}  // namespace assay
