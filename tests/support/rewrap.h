// Writes a bound model's weights as the folder that another layout of its family would be: names by the weight table, rows and norms
// as safetensors have them.
#pragma once

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "runtime/formats/safetensors_writer.h"
#include "runtime/model/weights.h"
#include "runtime/quant/dequantize.h"
#include "tests/support/data.h"

namespace assay::test {

// A tensor beside the language model's, filled with zeros.
struct OtherTensor {
  std::string name;
  std::vector<std::uint64_t> shape;
};

inline std::vector<float> values_of(const TensorView& tensor) {
  std::vector<float> values(tensor.count());
  for (std::uint64_t row = 0; row < tensor.rows(); ++row) dequantize_row(tensor, row, std::span(values).subspan(row * tensor.cols(), tensor.cols()));
  return values;
}

// Rows of Q and K whose rotation pairs lie side by side, as halves.
inline std::vector<float> as_halves(const std::vector<float>& values, std::size_t rows, std::size_t head_dim) {
  std::vector<float> out(values.size());
  const std::size_t cols = values.size() / rows;
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t in_head = row % head_dim, half = head_dim / 2;
    const std::size_t from = row - in_head + in_head % half * 2 + in_head / half;
    std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(from * cols), cols, out.begin() + static_cast<std::ptrdiff_t>(row * cols));
  }
  return out;
}

inline std::vector<float> transposed(const std::vector<float>& values, std::size_t rows) {
  std::vector<float> out(values.size());
  const std::size_t cols = values.size() / rows;
  for (std::size_t i = 0; i < values.size(); ++i) out[i % cols * rows + i / cols] = values[i];
  return out;
}

inline std::vector<float> part_values(const Model& model, const ExpectedTensor& wanted, const WeightRow& row) {
  const TensorView* tensor = row.in_model != nullptr   ? model.*row.in_model
                             : row.in_expert != nullptr ? model.layers[wanted.layer].experts[static_cast<std::size_t>(wanted.expert)].*row.in_expert
                                                        : model.layers[wanted.layer].*row.in_layer;
  if (tensor == nullptr) return {};
  std::vector<float> values = values_of(*tensor);
  const bool moves = row.in_layer == &LayerWeights::q || row.in_layer == &LayerWeights::k || row.in_layer == &LayerWeights::q_bias || row.in_layer == &LayerWeights::k_bias;
  if (moves && model.config.rope.adjacent_pairs && !model.config.arch->hf_adjacent_pairs) values = as_halves(values, tensor->shape[0], model.config.head_dim);
  return values;
}

// One tensor for the experts of a layer, as MLX has them: [experts][rows][cols].
inline ExpectedTensor stacked_experts(ExpectedTensor first, std::uint32_t count) {
  const std::string_view leaf = first.parts[0]->hf.substr(first.parts[0]->hf.find("#") + 1);
  first.name = first.name.substr(0, first.name.find("experts.0")) + "switch_mlp" + std::string(leaf);
  first.shape.insert(first.shape.begin(), count);
  return first;
}

// `config` is the whole config.json; it decides family, names and nesting. `model` comes from a GGUF file.
inline void write_folder(const Model& model, const Json& config, const std::vector<OtherTensor>& others, bool stacks_experts, const std::filesystem::path& folder) {
  std::ofstream(folder / "config.json") << to_text(config, 1);
  ModelFile description;
  description.kind = FileKind::safetensors;
  description.config = config;
  const auto read = read_config(description);
  ASSERT_TRUE(read) << read.error().message();
  SafetensorsWriter writer;
  std::vector<std::vector<float>> all;
  for (ExpectedTensor wanted : list_weights(*read, Layout::hf, nullptr)) {
    if (wanted.parts[0]->in_model == &Model::output && model.is_tied()) continue;
    const bool is_stacked = stacks_experts && wanted.expert >= 0;
    if (is_stacked && wanted.expert > 0) continue;
    std::vector<float> values;
    for (const WeightRow* row : wanted.parts) {
      if (row == nullptr) break;
      const std::vector<float> part = part_values(model, wanted, *row);
      values.insert(values.end(), part.begin(), part.end());
    }
    if (values.empty()) continue;
    if (is_stacked) {
      for (wanted.expert = 1; wanted.expert < static_cast<std::int32_t>(read->experts.count); ++wanted.expert) {
        const std::vector<float> more = part_values(model, wanted, *wanted.parts[0]);
        values.insert(values.end(), more.begin(), more.end());
      }
      wanted = stacked_experts(std::move(wanted), read->experts.count);
    }
    if (wanted.is_transposed) values = transposed(values, wanted.shape[1]);
    if (read->arch->hf_norms_less_one && wanted.name.ends_with("norm.weight"))
      for (float& value : values) value -= 1.0f;
    ASSERT_TRUE(writer.add_tensor(wanted.name, FormatId::F32, wanted.shape));
    all.push_back(std::move(values));
  }
  for (const OtherTensor& other : others) {
    std::size_t count = 1;
    for (const std::uint64_t size : other.shape) count *= size;
    ASSERT_TRUE(writer.add_tensor(other.name, FormatId::F32, other.shape));
    all.emplace_back(count);
  }
  ASSERT_TRUE(writer.begin(folder / "model.safetensors"));
  for (const std::vector<float>& values : all) ASSERT_TRUE(writer.write(std::as_bytes(std::span(values))));
  ASSERT_TRUE(writer.finish());
}

}  // namespace assay::test
