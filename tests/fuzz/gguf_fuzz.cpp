// Fuzz target: a GGUF file, from its bytes to its findings.
#include "runtime/formats/gguf.h"
#include "tests/fuzz/fuzz.h"

namespace {

// Every typed look-up of every key: each answers or errs.
void read_everything(const assay::Metadata& metadata) {
  std::size_t left = 200;
  for (const assay::MetaEntry& entry : metadata.entries()) {
    if (left-- == 0) return;  // look-ups are linear in the keys
    (void)metadata.unsigned_integer(entry.key);
    (void)metadata.number(entry.key);
    (void)metadata.boolean(entry.key);
    (void)metadata.string(entry.key);
    (void)metadata.strings(entry.key);
    (void)metadata.integers(entry.key);
    (void)metadata.floats(entry.key);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const assay::fuzz::Scratch scratch;
  const assay::fuzz::Exact file({data, size});
  assay::AllFindings all;
  if (const auto contents = assay::parse_gguf(file.bytes(), "x.gguf", all)) {
    read_everything(contents->metadata);
    for (const assay::TensorView& tensor : contents->tensors)
      assay::fuzz::require(tensor.data.data() >= file.bytes().data() &&
                               tensor.data.data() + tensor.data.size() <= file.bytes().data() + size,
                           "tensors lie inside the file");
  }
  assay::fuzz::check(all.findings());
  assay::fuzz::validate_path(scratch.write("x.gguf", std::span(data, size)));
  return 0;
}
