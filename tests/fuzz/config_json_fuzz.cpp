// Fuzz target: config.json beside weights that it may quantise, tie, rename or contradict.
#include "tests/fuzz/folders.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const assay::fuzz::Scratch scratch;
  static const bool is_ready = assay::fuzz::write_quantized(scratch);
  assay::fuzz::require(is_ready, "weights are there");
  scratch.write("config.json", std::span(data, size));
  assay::fuzz::validate_path(scratch.path());
  return 0;
}
