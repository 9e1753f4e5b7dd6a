// Small valid models that a fuzzed file is put beside, and what a tokenizer must bear.
#pragma once

#include "runtime/formats/safetensors_writer.h"
#include "runtime/model/tokenizer.h"
#include "tests/fuzz/fuzz.h"

namespace assay::fuzz {

struct Weight {
  std::string name;
  FormatId format;
  std::vector<std::uint64_t> shape;
};

inline bool write_weights(const std::filesystem::path& path, const std::vector<Weight>& weights) {
  SafetensorsWriter writer;
  for (const Weight& weight : weights)
    if (!writer.add_tensor(weight.name, weight.format, weight.shape)) return false;
  if (!writer.begin(path)) return false;
  std::uint8_t next = 1;
  for (const Weight& weight : weights) {
    std::uint64_t count = 1;
    for (const std::uint64_t size : weight.shape) count *= size;
    std::vector<std::byte> data(count * dtype_of(weight.format).block_bytes);
    for (std::byte& byte : data) byte = static_cast<std::byte>(next++ & 0x3f);
    if (!writer.write(data)) return false;
  }
  return writer.finish().has_value();
}

// Two shards, one layer of width 8, vocabulary 16.
inline bool write_shards(const Scratch& scratch) {
  const auto layer = [](std::string_view name) { return "model.layers.0." + std::string(name) + ".weight"; };
  const bool first = write_weights(scratch.path() / "model-00001-of-00002.safetensors",
                                   {{"model.embed_tokens.weight", FormatId::F32, {16, 8}},
                                    {layer("self_attn.q_proj"), FormatId::F32, {8, 8}},
                                    {layer("self_attn.k_proj"), FormatId::F32, {4, 8}},
                                    {layer("self_attn.v_proj"), FormatId::F32, {4, 8}}});
  const bool second = write_weights(scratch.path() / "model-00002-of-00002.safetensors",
                                    {{layer("self_attn.o_proj"), FormatId::F32, {8, 8}},
                                     {layer("mlp.gate_proj"), FormatId::BF16, {16, 8}},
                                     {layer("mlp.up_proj"), FormatId::BF16, {16, 8}},
                                     {layer("mlp.down_proj"), FormatId::BF16, {8, 16}},
                                     {layer("input_layernorm"), FormatId::BF16, {8}},
                                     {layer("post_attention_layernorm"), FormatId::BF16, {8}},
                                     {"model.norm.weight", FormatId::BF16, {8}}});
  scratch.write(
      "config.json",
      R"({"model_type":"llama","hidden_size":8,"intermediate_size":16,"num_hidden_layers":1,"num_attention_heads":2,
    "num_key_value_heads":1,"head_dim":4,"vocab_size":16,"max_position_embeddings":16,"rms_norm_eps":1e-5,"tie_word_embeddings":true})");
  return first && second;
}

// MLX triples, FP8 with scales, plain tensors: config.json decides what they are.
inline bool write_quantized(const Scratch& scratch) {
  return write_weights(scratch.path() / "model.safetensors",
                       {{"model.embed_tokens.weight", FormatId::U32, {16, 8}},
                        {"model.layers.0.self_attn.q_proj.weight", FormatId::U32, {64, 8}},
                        {"model.layers.0.self_attn.v_proj.weight_scale_inv", FormatId::F32, {1, 1}},
                        {"model.embed_tokens.scales", FormatId::BF16, {16, 1}},
                        {"model.embed_tokens.biases", FormatId::BF16, {16, 1}},
                        {"model.layers.0.self_attn.q_proj.scales", FormatId::BF16, {64, 1}},
                        {"model.layers.0.self_attn.q_proj.biases", FormatId::BF16, {64, 1}},
                        {"model.layers.0.self_attn.k_proj.weight", FormatId::BF16, {32, 64}},
                        {"model.norm.weight", FormatId::BF16, {64}},
                        {"model.layers.0.self_attn.v_proj.weight", FormatId::F8_E4M3, {32, 64}}});
}

inline void use_tokenizer(const Tokenizer& tokenizer, std::string_view text) {
  for (const std::string_view each :
       {text, std::string_view("Hello, world! \xf0\x9f\xa6\x99 123  \n"), std::string_view("\xff\xfe\x00 a", 5)}) {
    const auto ids = tokenizer.encode(each);
    for (const TokenId id : ids)
      require(id >= 0 && static_cast<std::size_t>(id) < tokenizer.vocabulary_size(), "ids lie in the vocabulary");
    (void)tokenizer.decode(ids, true);
    (void)tokenizer.encode(each, {.add_special = false, .parse_special = false});
  }
  for (const TokenId id : {0, 1, 255, -1, 1 << 20}) (void)tokenizer.piece(id);
}

}  // namespace assay::fuzz
