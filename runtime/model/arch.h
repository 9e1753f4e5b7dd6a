// Architectures as data: one ArchTraits row per family.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace assay {

// One family. `gguf_name` is general.architecture; `hf_model_type` is config.json's model_type.
struct ArchTraits {
  std::string_view name;
  std::string_view gguf_name;
  std::string_view hf_model_type;
  bool gguf_adjacent_pairs;  // GGUF files hold Q and K rows for rotation of (2i, 2i+1); HF files always use halves
  bool has_qk_norm;          // RMS norm of every Q and K head before rope
};

inline constexpr std::array kArchitectures = {
    ArchTraits{.name = "llama", .gguf_name = "llama", .hf_model_type = "llama", .gguf_adjacent_pairs = true, .has_qk_norm = false},
    ArchTraits{.name = "mistral", .gguf_name = "mistral", .hf_model_type = "mistral", .gguf_adjacent_pairs = true, .has_qk_norm = false},
    ArchTraits{.name = "qwen3", .gguf_name = "qwen3", .hf_model_type = "qwen3", .gguf_adjacent_pairs = false, .has_qk_norm = true},
};

const ArchTraits* arch_from_gguf(std::string_view name);
const ArchTraits* arch_from_hf(std::string_view model_type);
// "llama, mistral, qwen3"
std::string known_architectures();

}  // namespace assay
