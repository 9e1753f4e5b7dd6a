// What `auto` decides for devices and models that are made up, and names of backends.
#include "runtime/engine/backend_choice.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

constexpr std::uint64_t kGb = 1000000000;

vulkan::DeviceFacts device(vulkan::DeviceKind kind, std::uint64_t memory, std::string name = "card") {
  vulkan::DeviceFacts facts;
  facts.name = std::move(name);
  facts.kind = kind;
  facts.memory_bytes = memory;
  return facts;
}

// 8 GB of weights in 32 layers, half a gigabyte of it embedding and as much output; 1 GB of cache.
OffloadQuestion question() {
  OffloadQuestion q;
  q.layers = 32;
  q.plan = {.weights_bytes = 8 * kGb, .kv_bytes = kGb, .activation_bytes = kGb / 10, .bytes_per_token = 8 * kGb};
  q.embedding_bytes = q.output_bytes = kGb / 2;
  return q;
}

TEST(BackendNames, AreReadAndWritten) {
  EXPECT_EQ(backend_from_name("vulkan"), BackendName(BackendKind::vulkan, 0));
  EXPECT_EQ(backend_from_name("vulkan:12"), BackendName(BackendKind::vulkan, 12));
  EXPECT_EQ(backend_from_name("auto"), BackendName(BackendKind::automatic));
  for (const std::string_view wrong : {"", "vulkan:", "vulkan:x", "vulkan:-1", "vulkan:1x", "vulkan:99999999999", "cuda", "CPU"}) EXPECT_FALSE(backend_from_name(wrong)) << wrong;
  for (const std::string_view name : {"cpu", "reference", "vulkan", "vulkan:3", "auto"}) EXPECT_EQ(name_of(*backend_from_name(name)), name);
}

TEST(AutoBackend, TakesARealGpuWithAllLayersWhenItsMemoryHoldsThePlan) {
  const std::vector devices{device(vulkan::DeviceKind::cpu, 64 * kGb), device(vulkan::DeviceKind::integrated, 16 * kGb), device(vulkan::DeviceKind::discrete, 12 * kGb)};
  const BackendDecision decision = decide_backend(question(), devices);
  EXPECT_EQ(decision.backend, BackendName(BackendKind::vulkan, 2));
  EXPECT_EQ(decision.gpu_layers, 32u);
  EXPECT_NE(decision.why.find("card with all 32 layers"), std::string::npos) << decision.why;
}

TEST(AutoBackend, NeverTakesSoftwareOrADeviceThatLacksSomething) {
  EXPECT_TRUE(decide_backend(question(), {}).backend == BackendKind::cpu);
  const std::vector software{device(vulkan::DeviceKind::cpu, 64 * kGb)};
  EXPECT_TRUE(decide_backend(question(), software).backend == BackendKind::cpu);
  std::vector old{device(vulkan::DeviceKind::discrete, 64 * kGb)};
  old[0].lacks = "Vulkan 1.3";
  EXPECT_TRUE(decide_backend(question(), old).backend == BackendKind::cpu);
}

TEST(AutoBackend, SplitsWhenThatIsPredictedFasterThanTheCpuAlone) {
  const std::vector devices{device(vulkan::DeviceKind::discrete, 6 * kGb)};
  OffloadQuestion q = question();
  q.cpu_read = 40e9;
  q.device_read = 400e9;
  const BackendDecision decision = decide_backend(q, devices);
  EXPECT_TRUE(decision.backend == BackendKind::vulkan);
  // (0.9 * 6 GB - 0.1 GB - 0.5 GB) / (7 GB / 32 + 1 GB / 32)
  EXPECT_EQ(decision.gpu_layers, 19u);
  EXPECT_NE(decision.why.find("predicted"), std::string::npos) << decision.why;
  q.device_read = 30e9;  // a card slower than the processor
  const BackendDecision slow = decide_backend(q, devices);
  EXPECT_TRUE(slow.backend == BackendKind::cpu);
  EXPECT_NE(slow.why.find("predicted"), std::string::npos) << slow.why;
  q.device_read = 0;
  EXPECT_NE(decide_backend(q, devices).why.find("not measured"), std::string::npos);
}

TEST(AutoBackend, CountsWhatOtherProgramsHoldOfADevice) {
  std::vector devices{device(vulkan::DeviceKind::discrete, 24 * kGb)};
  devices[0].budget_bytes = kGb / 2;
  const BackendDecision decision = decide_backend(question(), devices);
  EXPECT_TRUE(decision.backend == BackendKind::cpu);
  EXPECT_NE(decision.why.find("no layer fits"), std::string::npos) << decision.why;
}

}  // namespace
}  // namespace assay
