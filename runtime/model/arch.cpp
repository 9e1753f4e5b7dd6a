// Look-ups in the table of architectures.
#include "runtime/model/arch.h"

#include <algorithm>

namespace assay {

const ArchTraits* arch_from_gguf(std::string_view name) {
  for (const ArchTraits& row : kArchitectures)
    if (row.gguf_name == name) return &row;
  return nullptr;
}

const ArchTraits* arch_from_hf(std::string_view model_type, bool is_latent) {
  if (model_type.empty()) return nullptr;
  const ArchTraits* found = nullptr;
  for (const ArchTraits& row : kArchitectures)
    if (row.hf_model_type == model_type && (found == nullptr || row.is_latent == is_latent)) found = &row;
  return found;
}

std::string known_architectures() {
  std::string names;
  for (const ArchTraits& row : kArchitectures) {
    if (!names.empty()) names += ", ";
    names += row.name;
  }
  return names;
}

const HfDefaults* hf_defaults(std::string_view model_type) {
  const auto* const row = std::find_if(kHfDefaults.begin(), kHfDefaults.end(), [&](const HfDefaults& d) { return d.hf_model_type == model_type; });
  return row == kHfDefaults.end() ? nullptr : row;
}

const Wrapper* wrapper_from_hf(std::string_view model_type) {
  const auto* const row = std::find_if(kWrappers.begin(), kWrappers.end(), [&](const Wrapper& w) { return w.hf_model_type == model_type; });
  return row == kWrappers.end() ? nullptr : row;
}

}  // namespace assay
