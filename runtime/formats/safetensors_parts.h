// What the two halves of the safetensors parser share, private to it.
#pragma once

#include <string>
#include <vector>

#include "runtime/formats/reporter.h"
#include "runtime/formats/safetensors.h"

namespace assay::safetensors {

// One tensor of the header, its size already equal to end - begin.
struct Entry {
  std::string name;
  FormatId format = FormatId::F32;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;  // from the start of the data section
  std::uint64_t end = 0;
};

// Checks that the entries cover the data section without hole or overlap and adds the whole ones to `contents`. When
// the header had wrong entries (`complete` is false), holes are not reported: they may be where those tensors lie.
bool place_entries(Bytes file, std::vector<Entry> entries, bool complete, NameFinder& places, Reporter& report,
                   SafetensorsContents& contents);

}  // namespace assay::safetensors
