// The two readers of configurations, and the limits both keep.
#pragma once

#include "runtime/model/config.h"

namespace assay::configs {

inline constexpr std::uint32_t kMaxLayers = 1024;
inline constexpr std::uint32_t kMaxWidth = 1u << 20;
inline constexpr std::uint32_t kMaxContext = 1u << 28;
inline constexpr std::uint32_t kMaxExperts = 4096;

// What follows from latent attention's numbers: where rope begins, and the scale of scores.
void set_latent_rope(Config& config);

Result<Config> read_gguf(const ModelFile& file);
Result<Config> read_hf(const ModelFile& file);

}  // namespace assay::configs
