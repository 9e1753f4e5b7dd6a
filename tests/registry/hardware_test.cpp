// What a machine has, as its files tell it, and whether that will do.
#include "runtime/registry/hardware.h"

#include <gtest/gtest.h>

#include "tests/support/data.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kGb = 1'000'000'000;

HardwareState machine() {
  return {.memory_bytes = 8 * kGb, .memory_available_bytes = 6 * kGb, .disk_free_bytes = 10 * kGb, .gpus = {}};
}

TEST(Hardware, WhatFitsIsFine) {
  EXPECT_TRUE(check_hardware({.disk_bytes = 5 * kGb, .memory_bytes = 5 * kGb}, machine()).is_fine());
}

TEST(Hardware, WhatCanNeverFitIsRefusedWithNumbersAndWhatDoesNotFitNowIsAWarning) {
  const HardwareVerdict never = check_hardware({.disk_bytes = 0, .memory_bytes = 9 * kGb}, machine());
  ASSERT_EQ(never.refusals.size(), 1u);
  EXPECT_NE(never.refusals[0].find("9.00 GB"), std::string::npos);
  EXPECT_NE(never.refusals[0].find("8.00 GB"), std::string::npos);
  const HardwareVerdict now = check_hardware({.disk_bytes = 0, .memory_bytes = 7 * kGb}, machine());
  EXPECT_TRUE(now.refusals.empty());
  ASSERT_EQ(now.warnings.size(), 1u);
  const auto refused = refuse(never, "x");
  EXPECT_EQ(refused.error().code, Code::memory);
  EXPECT_NE(refused.error().message().find("--force"), std::string::npos);
  EXPECT_TRUE(refuse(now, "x"));
}

TEST(Hardware, DiskNeedsSomeSpareAndAnUnknownDiskIsNotGuessed) {
  EXPECT_EQ(check_hardware({.disk_bytes = 10 * kGb}, machine()).refusals.size(), 1u);
  HardwareState unknown = machine();
  unknown.disk_free_bytes.reset();
  EXPECT_TRUE(check_hardware({.disk_bytes = 100 * kGb}, unknown).is_fine());
  const auto refused = refuse(check_hardware({.disk_bytes = 10 * kGb}, machine()), "x");
  EXPECT_EQ(refused.error().code, Code::space);
}

TEST(Hardware, MissingGpuIsRefusedWhereNeededAndAWarningWhereRecommended) {
  EXPECT_EQ(check_hardware({.gpu = GpuNeed::required}, machine()).refusals.size(), 1u);
  EXPECT_EQ(check_hardware({.gpu = GpuNeed::recommended}, machine()).warnings.size(), 1u);
  HardwareState with_gpu = machine();
  with_gpu.gpus = {"amdgpu"};
  EXPECT_TRUE(check_hardware({.gpu = GpuNeed::required}, with_gpu).is_fine());
}

TEST(Hardware, IsReadFromTheSystemsFiles) {
  const test::TemporaryFolder root;
  fs::create_directories(root.path() / "proc/driver/nvidia/gpus/0000:01:00.0");
  std::ofstream(root.path() / "proc/driver/nvidia/gpus/0000:01:00.0/information")
      << "Model: \t NVIDIA Test 9000\nIRQ: 5\n";
  std::ofstream(root.path() / "proc/meminfo") << "MemTotal:       2000000 kB\nMemAvailable:   1000000 kB\n";
  for (const auto& [node, driver] : {std::pair("renderD128", "amdgpu"), std::pair("renderD129", "nvidia"),
                                     std::pair("renderD130", "vgem"), std::pair("card0", "amdgpu")}) {
    const fs::path device = root.path() / "sys/class/drm" / node / "device";
    fs::create_directories(device);
    fs::create_directory_symlink(fs::path("/sys/bus/pci/drivers") / driver, device / "driver");
  }
  const HardwareState state = read_hardware(root.path() / "not" / "yet" / "there", root.path());
  EXPECT_EQ(state.gpus, (std::vector<std::string>{"NVIDIA Test 9000", "amdgpu"}));
  EXPECT_EQ(state.memory_bytes, 2'000'000u * 1024);
  EXPECT_EQ(state.memory_available_bytes, 1'000'000u * 1024);
  ASSERT_TRUE(state.disk_free_bytes);
  EXPECT_GT(*state.disk_free_bytes, 0u);
}

}  // namespace
}  // namespace assay
