// Fuzz target: model.safetensors.index.json beside two small shards.
#include "tests/fuzz/folders.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const assay::fuzz::Scratch scratch;
  static const bool is_ready = assay::fuzz::write_shards(scratch);
  assay::fuzz::require(is_ready, "shards are there");
  scratch.write("model.safetensors.index.json", std::span(data, size));
  assay::fuzz::validate_path(scratch.path());
  return 0;
}
