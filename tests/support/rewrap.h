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
#include "runtime/quant/mxfp4.h"
#include "tests/support/data.h"

namespace assay::test {

// A tensor beside those of the golden model; value i is i times `step`.
struct OtherTensor {
  std::string name;
  std::vector<std::uint64_t> shape;
  float step = 0;
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

// All experts' values of one weight, [experts][rows][cols].
inline std::vector<float> of_all_experts(const Model& model, ExpectedTensor wanted, const WeightRow& row) {
  std::vector<float> values;
  for (wanted.expert = 0; wanted.expert < static_cast<std::int32_t>(model.config.experts.count); ++wanted.expert) {
    const std::vector<float> more = part_values(model, wanted, row);
    values.insert(values.end(), more.begin(), more.end());
  }
  return values;
}

// [experts][cols][2 rows] with gate and up in turns, [experts][cols][rows] of down, [experts][2 rows] of biases.
inline std::vector<float> alternating_values(const Model& model, const ExpectedTensor& wanted) {
  const std::size_t parts = wanted.alternates ? 2 : 1, experts = wanted.shape[0], rows = wanted.shape.back() / parts, cols = wanted.shape.size() == 3 ? wanted.shape[1] : 1;
  std::vector<float> out(experts * cols * rows * parts);
  for (std::size_t part = 0; part < parts; ++part) {
    const std::vector<float> values = of_all_experts(model, wanted, *wanted.parts[part]);
    for (std::size_t expert = 0; expert < experts; ++expert)
      for (std::size_t row = 0; row < rows; ++row)
        for (std::size_t col = 0; col < cols; ++col) out[((expert * cols + col) * rows + row) * parts + part] = values[(expert * rows + row) * cols + col];
  }
  return out;
}

// Each head's rows of keys, then those of values, as they were before absorption.
inline std::vector<float> head_values(const Model& model, const ExpectedTensor& wanted) {
  const LayerWeights& layer = model.layers[wanted.layer];
  const std::vector<float> k = values_of(*layer.k_b), v = values_of(*layer.v_b);
  const std::size_t heads = layer.k_b->shape[0], rank = layer.k_b->shape[1], keys = layer.k_b->shape[2], values = layer.v_b->shape[1];
  std::vector<float> out;
  for (std::size_t head = 0; head < heads; ++head) {
    for (std::size_t key = 0; key < keys; ++key)
      for (std::size_t i = 0; i < rank; ++i) out.push_back(k[(head * rank + i) * keys + key]);
    for (std::size_t at = head * values * rank; at < (head + 1) * values * rank; ++at) out.push_back(v[at]);
  }
  return out;
}

// Codes and exponents of MXFP4 experts as Hugging Face holds them: two neighbours in a byte, exponents apart, parts' rows in turns.
struct Mxfp4Values {
  std::vector<std::byte> codes, exponents;
};
inline Mxfp4Values mxfp4_values(const Model& model, const ExpectedTensor& wanted) {
  const std::size_t parts = wanted.alternates ? 2 : 1;
  Mxfp4Values out;
  for (const ExpertWeights& expert : model.layers[wanted.layer].experts) {
    const TensorView& first = *(expert.*wanted.parts[0]->in_expert);
    for (std::size_t row = 0; row < first.rows() * parts; ++row) {
      const TensorView& part = *(expert.*wanted.parts[row % parts]->in_expert);
      for (std::size_t at = row / parts * part.row_bytes(); at < (row / parts + 1) * part.row_bytes(); at += sizeof(MXFP4::Block)) {
        const auto block = load<MXFP4::Block>(part.data.data() + at);
        const auto code = [&](std::size_t i) { return i < 16 ? block.codes[i] & 15u : unsigned{block.codes[i - 16]} >> 4; };
        out.exponents.push_back(std::byte{block.exponent});
        for (std::size_t i = 0; i < 32; i += 2) out.codes.push_back(static_cast<std::byte>(code(i) | code(i + 1) << 4));
      }
    }
  }
  return out;
}

inline bool is_mxfp4(const Model& model, const ExpectedTensor& wanted) {
  return wanted.expert < 0 && wanted.parts[0]->in_expert != nullptr && wanted.shape.size() == 3 && (model.layers[wanted.layer].experts[0].*wanted.parts[0]->in_expert)->format == FormatId::MXFP4;
}

class FolderWriter {
 public:
  template <class T>
  void add(const std::string& name, FormatId format, const std::vector<std::uint64_t>& shape, const std::vector<T>& values) {
    ASSERT_TRUE(writer_.add_tensor(name, format, shape));
    const auto bytes = std::as_bytes(std::span(values));
    all_.emplace_back(bytes.begin(), bytes.end());
  }
  void write(const std::filesystem::path& folder) {
    ASSERT_TRUE(writer_.begin(folder / "model.safetensors"));
    for (const auto& bytes : all_) ASSERT_TRUE(writer_.write(bytes));
    ASSERT_TRUE(writer_.finish());
  }

 private:
  SafetensorsWriter writer_;
  std::vector<std::vector<std::byte>> all_;
};

// Rows of one or several weights, as a matrix of the folder has them.
inline std::vector<float> folder_values(const Model& model, const ArchTraits& arch, const ExpectedTensor& wanted) {
  if (wanted.splits_heads) return head_values(model, wanted);
  const bool is_stacked = wanted.parts[0]->in_expert != nullptr && wanted.expert < 0;
  if (is_stacked && (wanted.is_transposed || wanted.alternates)) return alternating_values(model, wanted);
  if (is_stacked) return of_all_experts(model, wanted, *wanted.parts[0]);
  std::vector<float> values;
  for (const WeightRow* row : wanted.parts) {
    if (row == nullptr) break;
    const std::vector<float> part = part_values(model, wanted, *row);
    values.insert(values.end(), part.begin(), part.end());
  }
  if (wanted.is_transposed && !values.empty()) values = transposed(values, wanted.shape[1]);
  if (arch.hf_norms_less_one && wanted.name.ends_with("norm.weight"))
    for (float& value : values) value -= 1.0f;
  return values;
}

// Hugging Face has codes of alternating rows in bytes, MLX those of each matrix in words.
inline void add_mxfp4(const Model& model, const ExpectedTensor& wanted, FolderWriter& writer) {
  const Mxfp4Values packed = mxfp4_values(model, wanted);
  const std::uint64_t experts = wanted.shape[0], rows = wanted.shape[wanted.is_transposed ? 2 : 1], blocks = wanted.shape[wanted.is_transposed ? 1 : 2] / 32;
  const std::string module = wanted.name.substr(0, wanted.name.find(".weight"));
  if (wanted.is_transposed) {
    writer.add(module + "_blocks", FormatId::U8, {experts, rows, blocks, 16}, packed.codes);
    writer.add(module + "_scales", FormatId::U8, {experts, rows, blocks}, packed.exponents);
  } else {
    writer.add(module + ".weight", FormatId::U32, {experts, rows, blocks * 4}, packed.codes);
    writer.add(module + ".scales", FormatId::U8, {experts, rows, blocks}, packed.exponents);
  }
}

// `config` is the whole config.json; it decides family, names and nesting. `model` comes from a GGUF file. `layout`: hf, or mlx.
inline void write_folder(const Model& model, const Json& config, const std::vector<OtherTensor>& others, Layout layout, const std::filesystem::path& folder) {
  std::ofstream(folder / "config.json") << to_text(config, 1);
  ModelFile description;
  description.kind = FileKind::safetensors;
  description.config = config;
  const auto read = read_config(description);
  ASSERT_TRUE(read) << read.error().message();
  FolderWriter writer;
  for (const ExpectedTensor& wanted : list_weights(*read, layout, nullptr)) {
    if (wanted.parts[0]->in_model == &Model::output && model.is_tied()) continue;
    if (is_mxfp4(model, wanted)) {
      add_mxfp4(model, wanted, writer);
      continue;
    }
    const std::vector<float> values = folder_values(model, *read->arch, wanted);
    if (!values.empty()) writer.add(wanted.name, FormatId::F32, wanted.shape, values);
  }
  for (const OtherTensor& other : others) {
    std::size_t count = 1;
    for (const std::uint64_t size : other.shape) count *= size;
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i) * other.step;
    writer.add(other.name, FormatId::F32, other.shape, values);
  }
  writer.write(folder);
}

}  // namespace assay::test
