// Small files for the tests of this folder: written whole, made by hand, or by the project's writers.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/formats/gguf_writer.h"
#include "runtime/formats/model_file.h"
#include "tests/support/data.h"

namespace assay::test {

inline Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

inline void write_file(const std::filesystem::path& path, std::string_view content) {
  std::ofstream out(path, std::ios::binary);
  out << content;
  ASSERT_TRUE(out.flush()) << path;
}

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
inline std::string raw_text(std::string_view text) {
  return raw<std::uint64_t>(text.size()) + std::string(text);
}

// A safetensors file of this header and this many data bytes (0, 1, 2, ...).
inline std::string safetensors_file(std::string_view header, std::size_t data_bytes) {
  std::string file = raw_text(header);
  for (std::size_t i = 0; i < data_bytes; ++i) file += static_cast<char>(i);
  return file;
}

// `count` bytes that differ from tensor to tensor.
inline std::string pattern(std::size_t count, unsigned seed) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += static_cast<char>((i * 7 + seed * 13) & 0xff);
  return out;
}

inline std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The findings of opening `path`, errors and all.
inline std::vector<Finding> findings_of(const std::filesystem::path& path) {
  AllFindings sink;
  (void)open_model(path, sink);
  return sink.findings();
}
inline bool has_rule(const std::vector<Finding>& findings, std::string_view rule) {
  return std::any_of(findings.begin(), findings.end(), [&](const Finding& finding) { return finding.rule == rule; });
}

// A whole small GGUF with keys of several kinds and three tensors.
inline void write_small_gguf(const std::filesystem::path& path) {
  GgufWriter writer;
  writer.set_string("general.architecture", "llama");
  writer.set_u32("llama.block_count", 2);
  writer.set_u64("x.wide", 1ull << 40);
  writer.set_i32("x.negative", -5);
  writer.set_f32("x.float", 1e-5f);
  writer.set_bool("x.flag", true);
  writer.set_strings("tokenizer.ggml.tokens", {"a", "", "bc", "\xc3\xa9"});
  writer.set_i32s("tokenizer.ggml.token_type", {1, 2, 3, -4});
  writer.set_f32s("tokenizer.ggml.scores", {0.5f, -1.0f, 0.0f, 2.0f});
  ASSERT_TRUE(writer.add_tensor("token_embd.weight", FormatId::F16, {4, 32}));
  ASSERT_TRUE(writer.add_tensor("blk.0.attn_q.weight", FormatId::Q8_0, {3, 32}));
  ASSERT_TRUE(writer.add_tensor("output_norm.weight", FormatId::F32, {5}));
  ASSERT_TRUE(writer.begin(path));
  ASSERT_TRUE(writer.write(bytes_of(pattern(256, 1))));
  ASSERT_TRUE(writer.write(bytes_of(pattern(102, 2))));
  ASSERT_TRUE(writer.write(bytes_of(pattern(20, 3))));
  ASSERT_TRUE(writer.finish());
}

}  // namespace assay::test
