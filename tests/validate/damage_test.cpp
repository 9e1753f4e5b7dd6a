// Every byte flipped and every truncation of small valid files: findings or a valid model, never a crash, never a
// silent loss.
#include "tests/validate/support.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

// Bytes changed in this many ways; all of them where the header is, some where weights are.
constexpr int kFlips[] = {0x01, 0x80, 0xff};

// A folder in memory where the system has such a place: thousands of small files would wait for a disk.
class QuickFolder {
 public:
  QuickFolder() {
    const bool has_memory = fs::is_directory("/dev/shm");
    std::string pattern = (has_memory ? fs::path("/dev/shm") : fs::temp_directory_path()) / "assay-test-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~QuickFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  QuickFolder(const QuickFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

class Damaged {
 public:
  Damaged(std::string_view source, std::string_view file) : path_(folder_.path() / file) {
    const fs::path from = test::fixture(source);
    if (fs::is_directory(from))
      fs::copy(from, folder_.path(), fs::copy_options::recursive);
    else
      fs::copy_file(from, path_);
    good_ = test::read_text(path_);
    model_ = fs::is_directory(from) ? folder_.path() : path_;
  }
  const std::string& good() const { return good_; }

  Validation with(const std::string& content) const {
    std::ofstream(path_, std::ios::binary) << content;
    const Validation out = test::validated(model_, {.threads = 1});
    test::expect_sound(out);
    return out;
  }

 private:
  QuickFolder folder_;
  fs::path path_, model_;
  std::string good_;
};

void flip_every_byte(const Damaged& file, std::size_t header, std::size_t step) {
  for (std::size_t at = 0; at < file.good().size(); at += at < header ? 1 : step)
    for (const int flip : kFlips) {
      std::string bad = file.good();
      bad[at] = static_cast<char>(bad[at] ^ flip);
      file.with(bad);
      if (testing::Test::HasFailure()) FAIL() << "byte " << at << " xor " << flip;
    }
}

// A file cut anywhere is refused, and the finding says so.
void cut_everywhere(const Damaged& file, std::size_t header, std::size_t step, std::size_t end) {
  for (std::size_t size = 0; size < end; size += size < header ? 1 : step)
    ASSERT_GT(file.with(file.good().substr(0, size)).count(Severity::error), 0u) << size;
}

TEST(Damage, OfAGgufNeverCrashes) {
  const Damaged file("corrupt/rules/gguf.tensor.scalar.gguf", "m.gguf");
  flip_every_byte(file, file.good().size(), 1);
  cut_everywhere(file, file.good().size(), 1, file.good().size() - 31);  // the last tensor's padding may go
}

TEST(Damage, OfAWholeGgufModelNeverCrashes) {
  const Damaged file("corrupt/rules/tokenizer.vocabulary.padded.gguf", "m.gguf");
  flip_every_byte(file, 1800, 97);
  cut_everywhere(file, 1800, 61, file.good().size() - 31);
}

TEST(Damage, OfASafetensorsFileNeverCrashes) {
  const Damaged file("corrupt/safetensors/ok_metadata.safetensors", "m.safetensors");
  const std::size_t header = 8 + load<std::uint64_t>(reinterpret_cast<const std::byte*>(file.good().data()));
  flip_every_byte(file, header, 1);
  cut_everywhere(file, header, 1, file.good().size());
}

TEST(Damage, OfSideScalesNeverCrashes) {
  for (const char* name : {"quant/nf4/nf4_b64_nested.safetensors", "quant/fp8/scaled.safetensors"}) {
    const Damaged file(name, "m.safetensors");
    flip_every_byte(file, 700, 499);
    cut_everywhere(file, 700, 997, file.good().size());
  }
}

TEST(Damage, OfAnIndexNeverCrashes) {
  const Damaged file("corrupt/sharded/ok_sharded", "model.safetensors.index.json");
  flip_every_byte(file, 200, 7);
  cut_everywhere(file, 200, 11, file.good().find_last_of('}'));
}

TEST(Damage, OfAConfigNeverCrashes) {
  const Damaged file("corrupt/sharded/ok_sharded", "config.json");
  flip_every_byte(file, file.good().size(), 1);
  cut_everywhere(file, file.good().size(), 1, file.good().find_last_of('}'));
}

TEST(Damage, OfATokenizerNeverCrashes) {
  const Damaged file("corrupt/rules/tokenizer.load", "tokenizer.json");
  flip_every_byte(file, 600, 3);
  cut_everywhere(file, 600, 3, file.good().find_last_of('}'));
}

}  // namespace
}  // namespace assay
