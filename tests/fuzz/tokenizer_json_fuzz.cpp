// Fuzz target: tokenizer.json; what can be built must encode and decode any text.
#include "runtime/model/tokenizer.h"
#include "tests/fuzz/folders.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const assay::fuzz::Scratch scratch;
  static const bool is_ready = assay::fuzz::write_shards(scratch);
  assay::fuzz::require(is_ready, "weights are there");
  scratch.write("tokenizer.json", std::span(data, size));
  assay::fuzz::validate_path(scratch.path());
  if (const auto tokenizer = assay::Tokenizer::open_folder(scratch.path())) {
    // The end of the input is text, too: it may hold the tokens it defines.
    const std::size_t count = size < 256 ? size : 256;
    assay::fuzz::use_tokenizer(*tokenizer,
                               std::string_view(reinterpret_cast<const char*>(data) + (size - count), count));
  }
  return 0;
}
