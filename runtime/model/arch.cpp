// Look-ups in the table of architectures.
#include "runtime/model/arch.h"

namespace assay {

const ArchTraits* arch_from_gguf(std::string_view name) {
  for (const ArchTraits& row : kArchitectures)
    if (row.gguf_name == name) return &row;
  return nullptr;
}

const ArchTraits* arch_from_hf(std::string_view model_type) {
  for (const ArchTraits& row : kArchitectures)
    if (row.hf_model_type == model_type) return &row;
  return nullptr;
}

std::string known_architectures() {
  std::string names;
  for (const ArchTraits& row : kArchitectures) {
    if (!names.empty()) names += ", ";
    names += row.name;
  }
  return names;
}

}  // namespace assay
