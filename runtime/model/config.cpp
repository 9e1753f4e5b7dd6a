// What every configuration must be, whichever file it was read from, and what follows from its numbers.
#include "runtime/model/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/model/config_parts.h"

namespace assay {

namespace {

using configs::kMaxWidth;

Result<Config> check(Config config) {
  if (config.heads % config.kv_heads != 0)
    return Error{Code::range, "attention.head_count_kv", fmt::format("{} query heads cannot share {} key-value heads evenly", config.heads, config.kv_heads)};
  if (config.rope.offset + config.rope.dims > config.head_dim || config.rope.dims % 2 != 0)
    return Error{Code::range, "rope.dimension_count", fmt::format("is {}, expected an even number up to the head size {}", config.rope.dims, config.head_dim)};
  const std::uint64_t widest = std::max({config.head_dim, config.attended_dim(), config.latent.key_dim});
  if (config.heads * widest > kMaxWidth)
    return Error{Code::range, "attention.head_count", fmt::format("{} heads of {} values are more than {}", config.heads, widest, kMaxWidth)};
  if (std::uint64_t{config.experts.shared} * config.experts.feed_forward > kMaxWidth)
    return Error{Code::range, "expert_shared_count", fmt::format("{} experts of {} values are more than {}", config.experts.shared, config.experts.feed_forward, kMaxWidth)};
  const ExpertConfig& experts = config.experts;
  if (std::uint64_t{config.layers} * experts.count > kMaxTensors)
    return Error{Code::range, "expert_count", fmt::format("{} experts in each of {} layers are more tensors than a file may hold ({})", experts.count, config.layers, kMaxTensors)};
  const bool divides = experts.groups <= 1 || (experts.count % experts.groups == 0 && experts.used_groups >= 1 && experts.used_groups <= experts.groups);
  if (!divides || std::uint64_t{experts.used} * experts.groups > std::uint64_t{experts.count} * experts.used_groups)
    return Error{Code::range, "expert_group_count", fmt::format("{} of {} groups cannot give {} of {} experts", experts.used_groups, experts.groups, experts.used, experts.count)};
  for (const std::vector<float>* factors : {&config.rope.short_factors, &config.rope.long_factors})
    if (!factors->empty() && factors->size() != config.rope.dims / 2)
      return Error{Code::shape, "rope_scaling", fmt::format("config.json lists {} factors for {} pairs", factors->size(), config.rope.dims / 2)};
  return config;
}

}  // namespace

void configs::set_latent_rope(Config& config) {
  RopeConfig& rope = config.rope;
  rope.offset = config.latent.kv_rank;
  rope.scales_scores = true;
  const float stretch = rope.scaling == RopeScaling::yarn ? 1.0f + rope.log_multiplier * std::log(rope.factor) : 1.0f;
  config.attention_scale = stretch * stretch / std::sqrt(static_cast<float>(config.latent.key_dim));
}

void finish_config(Config& config) {
  const ArchTraits& arch = *config.arch;
  if (config.attention_scale == 0) {
    const bool is_wide = config.layers == arch.wide_query_layers;
    config.attention_scale = 1.0f / std::sqrt(static_cast<float>(is_wide ? config.embedding / config.heads : config.head_dim));
  }
  if (arch.scales_embedding) config.embedding_scale *= std::sqrt(static_cast<float>(config.embedding));
  if (config.window > 0 && config.slides.empty() && arch.full_layer_period > 0)
    for (std::uint32_t layer = 0; layer < config.layers; ++layer) config.slides.push_back((layer + 1) % arch.full_layer_period != 0);
  if (std::find(config.slides.begin(), config.slides.end(), true) == config.slides.end()) config.slides.clear();
  if (config.slides.empty()) config.window = 0;
  if (arch.no_rope_period > 0 && config.rotates.empty())
    for (std::uint32_t layer = 0; layer < config.layers; ++layer) config.rotates.push_back((layer + 1) % arch.no_rope_period != 0);
  if (arch.has_learned_positions) config.rotates.assign(config.layers, false);
}

Result<Config> read_config(const ModelFile& file) {
  auto config = file.kind == FileKind::gguf ? configs::read_gguf(file) : configs::read_hf(file);
  if (config) config = check(std::move(*config));
  if (!config) {
    Error error = std::move(config).error();
    if (error.file.empty()) error.file = file.path.string();
    return error;
  }
  finish_config(*config);
  return config;
}

}  // namespace assay
