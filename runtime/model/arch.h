// Architectures as data: one ArchTraits row per family says what its decoder is made of.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace assay {

enum class NormKind : std::uint8_t { rms, layer };
// gelu is the tanh form; clamped_silu is gate * sigmoid(1.702 gate) * (up + 1), gate at most 7, up within 7.
enum class Activation : std::uint8_t { silu, gelu, clamped_silu };
enum class QkNorm : std::uint8_t { none, head, row };  // RMS norm of every head, or of all heads together
enum class Presence : std::uint8_t { no, yes, maybe };

// One family. What no row mentions is as llama has it. Numbers that differ from model to model are in Config.
struct ArchTraits {
  std::string_view name;
  std::string_view gguf_name;      // general.architecture
  std::string_view hf_model_type;  // config.json's model_type; empty: this family is read from GGUF only
  // Which values of a head rotate together: (2i, 2i+1), or (i, i + half). GGUF files of llama have their rows permuted.
  bool gguf_adjacent_pairs = false, hf_adjacent_pairs = false;

  NormKind norm = NormKind::rms;
  bool has_pre_norms = true, has_post_norms = false;  // before each branch; on its output
  bool is_parallel = false;                           // one norm feeds attention and FFN
  QkNorm qk_norm = QkNorm::none;
  Presence qkv_bias = Presence::no, out_bias = Presence::no, ffn_bias = Presence::no, head_bias = Presence::no;
  bool has_learned_positions = false;  // added to the embedding, instead of rope
  bool has_sinks = false;
  bool is_latent = false;              // multi-head latent attention

  bool is_gated = true;
  Activation activation = Activation::silu;
  Presence experts = Presence::no;
  bool renormalises_experts = false;   // the chosen weights are made to sum to 1
  bool chooses_before_softmax = false;  // softmax over the chosen experts only
  bool has_expert_bias = false;         // router and expert matrices

  bool scales_embedding = false;        // by sqrt(embedding)
  std::uint32_t full_layer_period = 0;  // every nth layer sees everything, the others `window`; 0: no windows
  std::uint32_t no_rope_period = 0;     // every nth layer does not rotate
  bool has_local_rope = false;          // sliding layers rotate with a base of their own
  float hf_rotary_fraction = 1;         // of a head, where config.json does not say
  std::uint32_t hf_ffn_factor = 0;      // width of the FFN over the embedding's, where config.json does not say
  bool hf_transposes = false;           // safetensors hold matrices of layers as [cols][rows]
  bool hf_norms_less_one = false;       // safetensors hold w of a norm that multiplies by 1 + w
  // A model of so many layers scales scores by sqrt(embedding / heads) instead of sqrt(head_dim), and GGUF has no key for it.
  std::uint32_t wide_query_layers = 0;
};

inline constexpr std::array kArchitectures = {
    ArchTraits{.name = "llama", .gguf_name = "llama", .hf_model_type = "llama", .gguf_adjacent_pairs = true,
               .experts = Presence::maybe, .renormalises_experts = true},
    ArchTraits{.name = "mistral", .gguf_name = "llama", .hf_model_type = "mistral", .gguf_adjacent_pairs = true},
    ArchTraits{.name = "mixtral", .gguf_name = "llama", .hf_model_type = "mixtral", .gguf_adjacent_pairs = true,
               .experts = Presence::yes, .renormalises_experts = true},
    ArchTraits{.name = "qwen2", .gguf_name = "qwen2", .hf_model_type = "qwen2", .qkv_bias = Presence::yes},
    ArchTraits{.name = "seed_oss", .gguf_name = "seed_oss", .hf_model_type = "seed_oss", .qkv_bias = Presence::yes},
    ArchTraits{.name = "qwen3", .gguf_name = "qwen3", .hf_model_type = "qwen3", .qk_norm = QkNorm::head},
    ArchTraits{.name = "qwen3moe", .gguf_name = "qwen3moe", .hf_model_type = "qwen3_moe", .qk_norm = QkNorm::head,
               .experts = Presence::yes, .renormalises_experts = true},
    ArchTraits{.name = "phi2", .gguf_name = "phi2", .hf_model_type = "phi", .norm = NormKind::layer, .is_parallel = true,
               .qkv_bias = Presence::yes, .out_bias = Presence::yes, .ffn_bias = Presence::yes, .head_bias = Presence::yes,
               .is_gated = false, .activation = Activation::gelu, .hf_rotary_fraction = 0.5f},
    ArchTraits{.name = "phi3", .gguf_name = "phi3", .hf_model_type = "phi3"},
    ArchTraits{.name = "gemma2", .gguf_name = "gemma2", .hf_model_type = "gemma2", .has_post_norms = true,
               .activation = Activation::gelu, .scales_embedding = true, .full_layer_period = 2, .hf_norms_less_one = true,
               .wide_query_layers = 46},
    ArchTraits{.name = "gemma3", .gguf_name = "gemma3", .hf_model_type = "gemma3_text", .has_post_norms = true,
               .qk_norm = QkNorm::head, .activation = Activation::gelu, .scales_embedding = true, .full_layer_period = 6,
               .has_local_rope = true, .hf_norms_less_one = true, .wide_query_layers = 62},
    ArchTraits{.name = "chatglm", .gguf_name = "chatglm", .hf_model_type = "chatglm", .gguf_adjacent_pairs = true,
               .hf_adjacent_pairs = true, .qkv_bias = Presence::maybe, .hf_rotary_fraction = 0.5f},
    ArchTraits{.name = "glm", .gguf_name = "chatglm", .hf_model_type = "glm", .gguf_adjacent_pairs = true,
               .hf_adjacent_pairs = true, .qkv_bias = Presence::maybe, .hf_rotary_fraction = 0.5f},
    ArchTraits{.name = "glm4", .gguf_name = "glm4", .hf_model_type = "glm4", .gguf_adjacent_pairs = true,
               .hf_adjacent_pairs = true, .has_post_norms = true, .qkv_bias = Presence::maybe, .hf_rotary_fraction = 0.5f},
    ArchTraits{.name = "deepseek", .gguf_name = "deepseek", .hf_model_type = "deepseek", .gguf_adjacent_pairs = true,
               .experts = Presence::yes},
    ArchTraits{.name = "deepseek2", .gguf_name = "deepseek2", .hf_model_type = "deepseek_v2", .gguf_adjacent_pairs = true,
               .hf_adjacent_pairs = true, .is_latent = true, .experts = Presence::yes},
    ArchTraits{.name = "deepseek3", .gguf_name = "deepseek2", .hf_model_type = "deepseek_v3", .gguf_adjacent_pairs = true,
               .hf_adjacent_pairs = true, .is_latent = true, .experts = Presence::yes, .renormalises_experts = true},
    ArchTraits{.name = "deepseek2-ocr", .gguf_name = "deepseek2-ocr", .hf_model_type = "deepseek_v2",
               .experts = Presence::yes},
    ArchTraits{.name = "starcoder2", .gguf_name = "starcoder2", .hf_model_type = "starcoder2", .norm = NormKind::layer,
               .qkv_bias = Presence::yes, .out_bias = Presence::yes, .ffn_bias = Presence::yes, .is_gated = false,
               .activation = Activation::gelu},
    ArchTraits{.name = "stablelm", .gguf_name = "stablelm", .hf_model_type = "stablelm", .norm = NormKind::layer,
               .qkv_bias = Presence::maybe, .hf_rotary_fraction = 0.25f},
    ArchTraits{.name = "olmo2", .gguf_name = "olmo2", .hf_model_type = "olmo2", .has_pre_norms = false,
               .has_post_norms = true, .qk_norm = QkNorm::row},
    ArchTraits{.name = "granite", .gguf_name = "granite", .hf_model_type = "granite", .gguf_adjacent_pairs = true},
    ArchTraits{.name = "smollm3", .gguf_name = "smollm3", .hf_model_type = "smollm3", .gguf_adjacent_pairs = true,
               .no_rope_period = 4},
    ArchTraits{.name = "gpt-oss", .gguf_name = "gpt-oss", .hf_model_type = "gpt_oss", .qkv_bias = Presence::yes,
               .out_bias = Presence::yes, .has_sinks = true, .activation = Activation::clamped_silu,
               .experts = Presence::yes, .chooses_before_softmax = true, .has_expert_bias = true, .full_layer_period = 2},
    ArchTraits{.name = "gpt2", .gguf_name = "gpt2", .hf_model_type = "gpt2", .norm = NormKind::layer,
               .qkv_bias = Presence::yes, .out_bias = Presence::yes, .ffn_bias = Presence::yes,
               .has_learned_positions = true, .is_gated = false, .activation = Activation::gelu, .hf_ffn_factor = 4,
               .hf_transposes = true},
    ArchTraits{.name = "falcon", .gguf_name = "falcon", .hf_model_type = "falcon", .norm = NormKind::layer,
               .is_parallel = true, .is_gated = false, .activation = Activation::gelu, .hf_ffn_factor = 4},
};

const ArchTraits* arch_from_gguf(std::string_view name);
// `is_latent` decides where two families share a model_type.
const ArchTraits* arch_from_hf(std::string_view model_type, bool is_latent = false);
// "llama, mistral, mixtral, ..."
std::string known_architectures();

// What transformers' configuration classes say where a config.json says nothing; published files of wrapping repositories leave it out.
struct HfDefaults {
  std::string_view hf_model_type;
  std::uint32_t heads, kv_heads, head_dim, vocabulary, context;
  float rope_base;
};
inline constexpr std::array kHfDefaults = {
    HfDefaults{"mistral", 32, 8, 0, 32000, 131072, 1e4f},
    HfDefaults{"llama", 32, 0, 0, 32000, 2048, 1e4f},
    HfDefaults{"gemma3_text", 8, 4, 256, 262208, 131072, 1e6f},
};
const HfDefaults* hf_defaults(std::string_view model_type);

// Repositories whose language model lies inside another: where its configuration is, and how its tensors' names start.
struct Wrapper {
  std::string_view hf_model_type;               // of the outer config.json
  std::string_view config_key;                  // of the language model's configuration; empty: the outer one is it
  std::string_view prefix;                      // of the language model's tensors
  std::string_view default_model_type;          // where the inner configuration does not say
  std::array<std::string_view, 6> other_parts;  // first letters of tensors of the image part
};
inline constexpr std::array kWrappers = {
    Wrapper{"llava", "text_config", "language_model.", "llama", {"vision_tower.", "multi_modal_projector.", "image_newline"}},
    Wrapper{"mistral3", "text_config", "language_model.", "mistral", {"vision_tower.", "multi_modal_projector."}},
    Wrapper{"gemma3", "text_config", "language_model.", "gemma3_text", {"vision_tower.", "multi_modal_projector."}},
    Wrapper{"deepseek_vl_v2", "language_config", "language.", "deepseek_v2",
            {"vision.", "projector.", "image_newline", "view_seperator", "tile_indicators"}},
    Wrapper{"glm", "", "", "glm", {"model.vision.", "transformer.vision."}},
    Wrapper{"chatglm", "", "", "chatglm", {"transformer.vision."}},
};
const Wrapper* wrapper_from_hf(std::string_view model_type);

}  // namespace assay
