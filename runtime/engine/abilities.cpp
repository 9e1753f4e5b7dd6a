// What a model asks of a backend beyond the plain verbs.
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <string_view>

#include "runtime/engine/forward.h"

namespace assay {

std::uint32_t abilities_needed(const Model& model) {
  const Config& config = model.config;
  const ArchTraits& arch = *config.arch;
  std::uint32_t needed = 0;
  const auto need = [&](bool condition, Ability ability) {
    if (condition) needed |= ability;
  };
  const bool has_biases = arch.qkv_bias != Presence::no || arch.out_bias != Presence::no || arch.ffn_bias != Presence::no;
  need(has_biases || model.output_bias != nullptr, kBiases);
  need(arch.norm == NormKind::layer, kLayerNorm);
  need(!arch.is_gated || arch.activation != Activation::silu, kActivations);
  need(arch.has_post_norms || arch.out_bias != Presence::no || arch.ffn_bias != Presence::no || config.residual_scale != 1.0f, kBranches);
  need(config.embedding_scale != 1.0f || config.logit_scale != 1.0f || config.final_soft_cap > 0, kScales);
  need(config.attention_scale != 1.0f / std::sqrt(static_cast<float>(config.head_dim)) || config.attention_soft_cap > 0, kScoreRules);
  need(config.window > 0, kWindows);
  need(arch.has_sinks, kSinks);
  need(model.positions != nullptr, kPositions);
  need(config.rope.scaling == RopeScaling::longrope || arch.has_local_rope || !config.rotates.empty(), kRopeRules);
  need(config.experts.count > 0, kExperts);
  need(config.is_latent(), kLatent);
  need(config.experts.gating != Gating::softmax || config.experts.used_groups < config.experts.groups || config.experts.has_correction, kRouting);
  return needed;
}

std::string ability_names(std::uint32_t abilities) {
  constexpr std::array<std::string_view, 13> kNames = {"biases",          "layer norm", "GELU or clamped SiLU", "norms, biases or scales of branches", "scales of embedding or logits", "score scales and soft caps",
                                                       "sliding windows", "sinks",      "learned positions",    "longrope, two ropes or layers without", "experts",                       "latent attention",
                                                       "experts chosen by sigmoid, groups or corrections"};
  std::string names;
  for (std::size_t bit = 0; bit < kNames.size(); ++bit)
    if ((abilities >> bit & 1u) != 0) names += (names.empty() ? "" : ", ") + std::string(kNames[bit]);
  return names;
}

Result<> check_abilities(const Model& model, std::uint32_t offered, std::string_view backend) {
  const std::uint32_t lacking = abilities_needed(model) & ~offered;
  if (lacking == 0) return success();
  return Error{Code::unsupported, std::string(backend), fmt::format("does not run {}, which needs: {}", model.config.arch->name, ability_names(lacking))};
}

}  // namespace assay
