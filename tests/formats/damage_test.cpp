// Files cut short and bytes changed: whatever happens to a small valid file, the parsers answer and never crash.
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "runtime/formats/gguf.h"
#include "runtime/formats/safetensors.h"
#include "tests/formats/files.h"

namespace assay {
namespace {

using test::TemporaryFolder;

// A copy of exactly its size on the heap, so that the address sanitizer sees one byte too many.
struct Exact {
  explicit Exact(std::string_view text) : size(text.size()), data(std::make_unique<std::byte[]>(text.size())) {
    std::copy_n(reinterpret_cast<const std::byte*>(text.data()), size, data.get());
  }
  Bytes bytes() const { return {data.get(), size}; }
  std::size_t size;
  std::unique_ptr<std::byte[]> data;
};

unsigned touch(const std::vector<TensorView>& tensors) {
  unsigned sum = 0;
  for (const TensorView& tensor : tensors)
    if (!tensor.data.empty())
      sum += static_cast<unsigned>(tensor.data.front()) + static_cast<unsigned>(tensor.data.back());
  return sum;
}

void read_everything(const Metadata& metadata) {
  for (const MetaEntry& entry : metadata.entries()) {
    (void)metadata.unsigned_integer(entry.key);
    (void)metadata.number(entry.key);
    (void)metadata.boolean(entry.key);
    (void)metadata.string(entry.key);
    (void)metadata.strings(entry.key);
    (void)metadata.integers(entry.key);
    (void)metadata.floats(entry.key);
  }
}

// Whether the file is accepted; the collecting sink must agree that something is wrong where it is not.
bool parses_gguf(std::string_view text) {
  const Exact file(text);
  FirstError first;
  AllFindings all;
  const auto strict = parse_gguf(file.bytes(), "x.gguf", first);
  const auto lenient = parse_gguf(file.bytes(), "x.gguf", all);
  EXPECT_EQ(strict.has_value(), !first.error().has_value());
  for (const auto* contents : {&strict, &lenient}) {
    if (!contents->has_value()) continue;
    read_everything((*contents)->metadata);
    touch((*contents)->tensors);
  }
  return strict.has_value();
}

bool parses_safetensors(std::string_view text) {
  const Exact file(text);
  FirstError first;
  AllFindings all;
  const auto strict = parse_safetensors(file.bytes(), "x.safetensors", first);
  const auto lenient = parse_safetensors(file.bytes(), "x.safetensors", all);
  EXPECT_EQ(strict.has_value(), !first.error().has_value());
  for (const auto* contents : {&strict, &lenient})
    if (contents->has_value()) touch((*contents)->tensors);
  return strict.has_value();
}

std::string small_gguf() {
  const TemporaryFolder folder;
  test::write_small_gguf(folder.path() / "small.gguf");
  return test::read_text(folder.path() / "small.gguf");
}

std::string small_safetensors() {
  return test::safetensors_file(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},)"
      R"("b.weight":{"dtype":"F4","shape":[6],"data_offsets":[12,15]},"c":{"dtype":"I64","shape":[],"data_offsets":[15,23]}})",
      23);
}

template <class Parses>
void flip_every_byte(const std::string& good, std::size_t header, Parses parses) {
  for (std::size_t at = 0; at < header; ++at)
    for (const int change : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff, 0x7f}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ change);
      parses(bad);
    }
}

template <class Parses>
void damage_at_random(const std::string& good, std::size_t header, Parses parses) {
  std::mt19937 random(20240607);  // fixed, so that a failure repeats
  const auto below = [&](std::size_t limit) { return random() % limit; };
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    for (std::size_t edits = 1 + below(4); edits > 0; --edits) {
      const std::size_t at = below(header);
      switch (below(4)) {
        case 0:
          bad[at] = static_cast<char>(below(256));
          break;
        case 1:
          bad.replace(at, std::min<std::size_t>(8, bad.size() - at),
                      test::raw<std::uint64_t>(~std::uint64_t{0} - below(64))
                          .substr(0, std::min<std::size_t>(8, bad.size() - at)));
          break;
        case 2:
          bad.erase(at, 1 + below(8));
          break;
        default:
          bad.insert(at, std::string(1 + below(8), static_cast<char>(below(256))));
          break;
      }
    }
    parses(bad);
  }
}

TEST(Damage, EveryTruncationOfAGgufIsRefused) {
  const std::string good = small_gguf();
  ASSERT_TRUE(parses_gguf(good));
  const std::size_t padding = 12;  // the last tensor's 20 bytes are padded to 32, and may be cut to 20
  for (std::size_t size = 0; size < good.size() - padding; ++size)
    EXPECT_FALSE(parses_gguf(good.substr(0, size))) << size;
}

TEST(Damage, NoFlippedByteOfAGgufHeaderCrashes) {
  const std::string good = small_gguf();
  flip_every_byte(good, good.size() - 32, parses_gguf);
}

TEST(Damage, NoRandomEditOfAGgufCrashes) {
  const std::string good = small_gguf();
  damage_at_random(good, good.size() - 400, parses_gguf);
}

TEST(Damage, EveryTruncationOfASafetensorsFileIsRefused) {
  const std::string good = small_safetensors();
  ASSERT_TRUE(parses_safetensors(good));
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(parses_safetensors(good.substr(0, size))) << size;
}

TEST(Damage, NoFlippedByteOfASafetensorsHeaderCrashes) {
  const std::string good = small_safetensors();
  flip_every_byte(good, good.size() - 23, parses_safetensors);
}

TEST(Damage, NoRandomEditOfASafetensorsFileCrashes) {
  const std::string good = small_safetensors();
  damage_at_random(good, good.size() - 23, parses_safetensors);
}

// Changes one byte of a file in place.
void poke(const std::filesystem::path& path, std::size_t at, char value) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  ASSERT_TRUE(file.put(value).flush());
}

// Damages one file of a copied model folder, byte by byte (every `step`th), and opens the folder each time.
void damage_folder(std::string_view source, std::string_view file, std::size_t limit, std::size_t step) {
  const TemporaryFolder folder;
  std::filesystem::copy(test::fixture(source), folder.path(), std::filesystem::copy_options::recursive);
  const auto path = folder.path() / file;
  const std::string good = test::read_text(path);
  ASSERT_TRUE(open_model(folder.path()));
  for (std::size_t at = 0; at < std::min(good.size(), limit); at += step)
    for (const int change : {0x01, 0x10, 0xff}) {
      poke(path, at, static_cast<char>(good[at] ^ change));
      AllFindings all;
      const auto model = open_model(folder.path(), all);
      if (model) touch(model->tensors);
      (void)open_model(folder.path());
      poke(path, at, good[at]);
    }
}

TEST(Damage, NoFlippedByteOfAnIndexCrashes) {
  damage_folder("corrupt/sharded/ok_sharded", "model.safetensors.index.json", 4096, 3);
}
TEST(Damage, NoFlippedByteOfAnMlxConfigCrashes) {
  damage_folder("models/nano-frankenstein/mlx-4bit", "config.json", 4096, 2);
}
TEST(Damage, NoFlippedByteOfAnMlxHeaderCrashes) {
  damage_folder("models/nano-frankenstein/mlx-4bit", "model.safetensors", 5136, 11);
}

void damage_single(std::string_view source) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "model.safetensors";
  const std::string good = test::read_text(test::fixture(source));
  test::write_file(path, good);
  const std::uint64_t header = 8 + load<std::uint64_t>(test::bytes_of(good).data());
  // The JSON of the quantisation state lies behind the tensor data: damage both ends of the file.
  for (std::size_t at = 0; at < good.size(); at += at < header || at + 200 > good.size() ? 1 : 997)
    for (const int change : {0x01, 0x10, 0xff}) {
      poke(path, at, static_cast<char>(good[at] ^ change));
      AllFindings all;
      const auto model = open_model(path, all);
      if (model) touch(model->tensors);
      poke(path, at, good[at]);
    }
}

TEST(Damage, NoFlippedByteOfAnFp8FileCrashes) {
  damage_single("quant/fp8/scaled.safetensors");
}
TEST(Damage, NoFlippedByteOfAnNf4FileCrashes) {
  damage_single("quant/nf4/nf4_b64_nested.safetensors");
}

}  // namespace
}  // namespace assay
