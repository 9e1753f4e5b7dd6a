// The pass over a model's bytes: the same answers with any number of threads, with and without hashing, in every
// layout.
#include "runtime/validate/pass.h"
#include "runtime/core/sha256.h"
#include "tests/validate/support.h"

namespace assay::validation {
namespace {

ModelFile opened(std::string_view path) {
  auto model = open_model(test::fixture(path));
  EXPECT_TRUE(model) << model.error().message();
  return std::move(*model);
}

TEST(Pass, HashesEveryFileAsItIs) {
  for (const char* path : {"models/nano-frankenstein/hf-sharded", "models/nano-frankenstein/mlx-4bit",
                           "models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf"})
    for (const int threads : {1, 2, 3}) {
      const ModelFile model = opened(path);
      const auto result = run_pass(model, {.numbers = true, .hash = true, .threads = threads}, ignore_progress);
      ASSERT_TRUE(result);
      ASSERT_EQ(result->hashes.size(), model.files.size());
      for (std::size_t i = 0; i < model.files.size(); ++i)
        EXPECT_EQ(result->hashes[i], sha256_of(model.files[i].bytes())) << model.files[i].path();
    }
}

TEST(Pass, LooksAtEveryRowWhateverElseItDoes) {
  for (const char* path :
       {"models/nano-frankenstein/hf-sharded", "models/nano-frankenstein/mlx-4bit",
        "models/nano-frankenstein/gguf/nano-frankenstein-Q8_0.gguf", "quant/nf4/nf4_b64_nested.safetensors"})
    for (const bool hash : {false, true})
      for (const int threads : {1, 4}) {
        const ModelFile model = opened(path);
        const auto result = run_pass(model, {.numbers = true, .hash = hash, .threads = threads}, ignore_progress);
        ASSERT_TRUE(result);
        ASSERT_EQ(result->numbers.size(), model.tensors.size());
        for (std::size_t i = 0; i < model.tensors.size(); ++i)
          EXPECT_EQ(result->numbers[i].rows, model.tensors[i].data.empty() ? 0 : model.tensors[i].rows())
              << model.tensors[i].name;
      }
}

TEST(Pass, TellsProgressUpToItsTotal) {
  const ModelFile model = opened("models/nano-frankenstein/hf-sharded");
  for (const bool hash : {false, true}) {
    std::uint64_t done = 0, total = 0;
    const auto tell = [&](const ProgressEvent& event) {
      EXPECT_GE(event.done, done);
      done = event.done;
      total = event.total;
      return true;
    };
    ASSERT_TRUE(run_pass(model, {.numbers = true, .hash = hash, .threads = 2}, tell));
    EXPECT_EQ(done, total);
    std::uint64_t tensors = 0;
    for (const TensorView& tensor : model.tensors) tensors += tensor.stored_bytes();
    EXPECT_EQ(total, hash ? model.file_bytes() : tensors);
  }
}

TEST(Pass, StopsWhenTold) {
  const ModelFile model = opened("models/nano-frankenstein/hf-sharded");
  const auto stopped =
      run_pass(model, {.numbers = true, .hash = true, .threads = 2}, [](const ProgressEvent&) { return false; });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::interrupted);
}

}  // namespace
}  // namespace assay::validation
