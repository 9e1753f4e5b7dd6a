// Names of general.architecture that the world's converters write, run here or not: what tells a model Assay cannot run
// from a damaged name.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace assay::validation {

// Files of the GGUF format that go with a model and are none: projectors, adapters, importance matrices.
inline bool is_helper_file(std::string_view name) {
  constexpr std::array<std::string_view, 4> kHelpers = {"clip", "adapter", "imatrix", "controlvector"};
  return std::find(kHelpers.begin(), kHelpers.end(), name) != kHelpers.end();
}

inline bool is_gguf_architecture(std::string_view name) {
  constexpr std::array<std::string_view, 94> kNames = {"afmoe",
                                                       "apertus",
                                                       "arcee",
                                                       "arctic",
                                                       "arwkv7",
                                                       "baichuan",
                                                       "bailingmoe",
                                                       "bailingmoe2",
                                                       "bert",
                                                       "bitnet",
                                                       "bloom",
                                                       "chameleon",
                                                       "chatglm",
                                                       "codeshell",
                                                       "cogvlm",
                                                       "cohere2",
                                                       "command-r",
                                                       "dbrx",
                                                       "deci",
                                                       "deepseek",
                                                       "deepseek2",
                                                       "dots1",
                                                       "dream",
                                                       "ernie4_5",
                                                       "ernie4_5-moe",
                                                       "exaone",
                                                       "exaone4",
                                                       "falcon",
                                                       "falcon-h1",
                                                       "gemma",
                                                       "gemma2",
                                                       "gemma3",
                                                       "gemma3n",
                                                       "gemma4",
                                                       "gemma-embedding",
                                                       "glm4",
                                                       "glm4moe",
                                                       "gpt2",
                                                       "gptj",
                                                       "gptneox",
                                                       "gpt-oss",
                                                       "granite",
                                                       "granitehybrid",
                                                       "granitemoe",
                                                       "grok",
                                                       "grovemoe",
                                                       "hunyuan-dense",
                                                       "hunyuan-moe",
                                                       "internlm2",
                                                       "jais",
                                                       "jamba",
                                                       "jina-bert-v2",
                                                       "lfm2",
                                                       "lfm2moe",
                                                       "llada",
                                                       "llada-moe",
                                                       "llama4",
                                                       "mamba",
                                                       "mamba2",
                                                       "minicpm",
                                                       "minicpm3",
                                                       "minimax-m2",
                                                       "mpt",
                                                       "nemotron",
                                                       "nemotron_h",
                                                       "neo-bert",
                                                       "nomic-bert",
                                                       "nomic-bert-moe",
                                                       "olmo",
                                                       "olmo2",
                                                       "olmoe",
                                                       "openelm",
                                                       "orion",
                                                       "pangu-embedded",
                                                       "phi2",
                                                       "phi3",
                                                       "phimoe",
                                                       "plamo",
                                                       "plamo2",
                                                       "plm",
                                                       "qwen",
                                                       "qwen2",
                                                       "qwen2moe",
                                                       "qwen2vl",
                                                       "qwen3moe",
                                                       "qwen3next",
                                                       "qwen3vl",
                                                       "qwen3vlmoe",
                                                       "refact",
                                                       "rwkv6",
                                                       "rwkv7",
                                                       "seed_oss",
                                                       "smallthinker",
                                                       "smollm3"};
  constexpr std::array<std::string_view, 6> kMore = {"stablelm", "starcoder", "starcoder2",
                                                     "t5",       "t5encoder", "xverse"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         std::find(kMore.begin(), kMore.end(), name) != kMore.end();
}

}  // namespace assay::validation
