// Hostile headers: memory stays within 64 MB and four times the header, and time grows with its size and not faster.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "runtime/core/host.h"
#include "tests/validate/support.h"

namespace assay {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMeasuresMemory = false;  // their shadow memory is not ours
#else
constexpr bool kMeasuresMemory = true;
#endif

constexpr std::uint64_t kHeader = 24 << 20;

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
std::string raw_text(std::string_view text) {
  return raw<std::uint64_t>(text.size()) + std::string(text);
}
std::string safetensors(std::string header) {
  return raw<std::uint64_t>(header.size()) + header;
}

std::string repeated(std::string_view start, std::string_view piece, std::string_view end) {
  std::string out(start);
  while (out.size() < kHeader) out += piece;
  return out + std::string(end);
}

// Validates in a process of its own and gives the memory it took beyond what it began with.
std::uint64_t anonymous_bytes_to_validate(const std::filesystem::path& path) {
  int channel[2];
  EXPECT_EQ(::pipe(channel), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::uint64_t before = read_process_memory().anonymous_bytes;
    (void)reset_peak_memory();
    const auto validation = validate(path, {.numbers = false});
    const ProcessMemory after = read_process_memory();
    // The peak counts mapped file pages, too; those are the file and no allocation.
    const std::uint64_t file = std::filesystem::file_size(path);
    std::uint64_t used = after.peak_bytes - std::min(after.peak_bytes, before + file);
    if (!validation) used = ~std::uint64_t{0};
    (void)!::write(channel[1], &used, sizeof used);
    ::_exit(0);
  }
  std::uint64_t used = 0;
  EXPECT_EQ(::read(channel[0], &used, sizeof used), static_cast<ssize_t>(sizeof used)) << "the validation died";
  ::waitpid(child, nullptr, 0);
  ::close(channel[0]);
  ::close(channel[1]);
  return used;
}

void expect_bounded(std::string_view name, const std::string& content) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / name;
  std::ofstream(path, std::ios::binary) << content;
  const auto start = std::chrono::steady_clock::now();
  const std::uint64_t used = anonymous_bytes_to_validate(path);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_LT(used, kMeasuresMemory ? (std::uint64_t{64} << 20) + 4 * content.size() : ~std::uint64_t{0}) << name;
  EXPECT_LT(seconds, kMeasuresMemory ? 20 : 120) << name;  // a guard against loops; speed is measured elsewhere
}

TEST(Memory, OfSafetensorsHeadersIsBounded) {
  expect_bounded("nested.safetensors", safetensors(repeated("{\"a\":{\"x\":[", "0,", "0]}}")));
  expect_bounded("metadata.safetensors", safetensors(repeated("{\"__metadata__\":{", "\"a\":\"\",", "\"z\":\"\"}}")));
  expect_bounded("string.safetensors",
                 safetensors(repeated("{\"__metadata__\":{\"a\":\"", "xxxxxxxxxxxxxxxx", "\"}}")));
  expect_bounded("shape.safetensors",
                 safetensors(repeated("{\"a\":{\"dtype\":\"U8\",\"shape\":[", "1,", "1],\"data_offsets\":[0,0]}}")));
  std::string many = "{";
  for (std::uint64_t i = 0; many.size() < kHeader; ++i)
    many += "\"" + std::to_string(i) + "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},";
  many.back() = '}';
  expect_bounded("many.safetensors", safetensors(many));
}

TEST(Memory, OfGgufHeadersIsBounded) {
  std::string keys;
  std::uint64_t count = 0;
  for (; count < (1u << 17); ++count)
    keys += raw_text(std::to_string(count)) + raw<std::uint32_t>(0) + raw<std::uint8_t>(1);
  const std::string start = "GGUF" + raw<std::uint32_t>(3);
  expect_bounded("keys.gguf", start + raw<std::uint64_t>(0) + raw<std::uint64_t>(count) + keys);
  std::string tensors;
  for (count = 0; count < (1u << 17); ++count)
    tensors += raw_text(std::to_string(count)) + raw<std::uint32_t>(1) + raw<std::uint64_t>(1) + raw<std::uint32_t>(0) +
               raw<std::uint64_t>(count * 32);
  expect_bounded("tensors.gguf", start + raw<std::uint64_t>(count) + raw<std::uint64_t>(0) + tensors +
                                     std::string(count * 32 + 64, '\1'));
  std::string texts;
  for (count = 0; texts.size() < kHeader; ++count) texts += raw_text(std::to_string(count));
  const std::string array = raw_text("tokenizer.ggml.tokens") + raw<std::uint32_t>(9) + raw<std::uint32_t>(8) +
                            raw<std::uint64_t>(count) + texts;
  expect_bounded("tokens.gguf", start + raw<std::uint64_t>(0) + raw<std::uint64_t>(3) +
                                    raw_text("general.architecture") + raw<std::uint32_t>(8) + raw_text("llama") +
                                    raw_text("tokenizer.ggml.model") + raw<std::uint32_t>(8) + raw_text("gpt2") +
                                    array);
}

TEST(Memory, OfAnIndexIsBounded) {
  const test::TemporaryFolder folder;
  std::ofstream(folder.path() / "model.safetensors.index.json")
      << repeated("{\"weight_map\":{", "\"a\":[[[]]],", "\"b\":\"c\"}}");
  EXPECT_LT(anonymous_bytes_to_validate(folder.path() / "model.safetensors.index.json"),
            kMeasuresMemory ? (std::uint64_t{64} << 20) + 4 * kHeader : ~std::uint64_t{0});
}

TEST(Memory, MoreTensorsThanAnyModelHasAreRefusedByName) {
  std::string many = "{";
  for (std::uint64_t i = 0; i < kMaxTensors + 10; ++i)
    many += "\"" + std::to_string(i) + "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},";
  many.back() = '}';
  const test::TemporaryFolder folder;
  std::ofstream(folder.path() / "m.safetensors", std::ios::binary) << safetensors(many);
  EXPECT_NE(test::find(test::validated(folder.path() / "m.safetensors"), "safetensors.count"), nullptr);
}

}  // namespace
}  // namespace assay
