// What the two halves of the safetensors parser share, private to it.
#pragma once

#include <string>
#include <vector>

#include "runtime/formats/reporter.h"
#include "runtime/formats/safetensors.h"

namespace assay::safetensors {

// One tensor of the header. A good one has a size equal to end - begin.
struct Entry {
  std::string name;
  std::uint64_t at = 0;  // of the name in the file
  FormatId format = FormatId::F32;
  bool is_good = false;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;  // from the start of the data section
  std::uint64_t end = 0;
};

struct Header {
  std::vector<Entry> entries;
  Json annotations;
  bool is_complete = true;  // no entry was wrong
};

// Reads the JSON of a header as it comes, without a tree, so that memory stays in proportion to the tensors. What is
// wrong in single entries is reported; the error is that of the JSON itself.
Result<> read_entries(std::string_view header, Reporter& report, Header& out);

// Checks that the entries cover the data section without hole or overlap and adds the whole ones to `contents`. When
// the header had wrong entries (`complete` is false), holes are not reported: they may be where those tensors lie.
bool place_entries(Bytes file, std::vector<Entry> entries, bool complete, Reporter& report,
                   SafetensorsContents& contents);

}  // namespace assay::safetensors
