// Compares a plan with what there is, in words.
#include "runtime/engine/memory_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/host.h"
#include "runtime/core/progress.h"

namespace assay {

namespace {

std::string describe(const MemoryPlan& plan) {
  std::string parts = "weights " + format_bytes(plan.weights_bytes);
  if (plan.kv_bytes > 0) parts += ", KV cache " + format_bytes(plan.kv_bytes);
  if (plan.activation_bytes > 0) parts += ", activations " + format_bytes(plan.activation_bytes);
  return fmt::format("needs {} of memory ({})", format_bytes(plan.total_bytes()), parts);
}

}  // namespace

MemorySupply read_memory_supply(const std::filesystem::path& root) {
  const HostFacts host = read_host_facts(root);
  const std::uint64_t total = std::min(host.memory_bytes, host.memory_limit_bytes.value_or(host.memory_bytes));
  return {total, std::min(host.memory_available_bytes, total)};
}

Result<std::string> check_memory(const MemoryPlan& plan, WeightsAre weights, const MemorySupply& supply) {
  const std::uint64_t stays = plan.kv_bytes + plan.activation_bytes + (weights == WeightsAre::kept ? plan.weights_bytes : plan.copied_bytes);
  const auto refuse = [&](const std::string& why) { return Error{Code::memory, "memory", fmt::format("{}, and {}; a shorter context, an 8-bit cache or a smaller quantisation needs less", describe(plan), why)}; };
  if (supply.total > 0 && plan.total_bytes() > supply.total) return refuse(fmt::format("there are {} in all", format_bytes(supply.total)));
  if (supply.available > 0 && stays > supply.available)
    return refuse(fmt::format("{} of it must stay in memory, of which {} are free", format_bytes(stays), format_bytes(supply.available)));
  if (supply.available > 0 && plan.total_bytes() > supply.available)
    return fmt::format("{}, and {} are free: weights may have to be read from the disk again and again", describe(plan), format_bytes(supply.available));
  return std::string();
}

}  // namespace assay
