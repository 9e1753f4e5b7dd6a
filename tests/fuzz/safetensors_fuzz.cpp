// Fuzz target: a safetensors file, from its bytes to its findings; alone, so that joins of scales see any names.
#include "runtime/formats/safetensors.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const assay::fuzz::Scratch scratch;
  const assay::fuzz::Exact file({data, size});
  assay::AllFindings all;
  if (const auto contents = assay::parse_safetensors(file.bytes(), "x.safetensors", all))
    for (const assay::TensorView& tensor : contents->tensors)
      assay::fuzz::require(tensor.data.data() >= file.bytes().data() &&
                               tensor.data.data() + tensor.data.size() <= file.bytes().data() + size,
                           "tensors lie inside the file");
  assay::fuzz::check(all.findings());
  assay::fuzz::validate_path(scratch.write("x.safetensors", std::span(data, size)));
  return 0;
}
