// The memory check before a load: what is refused, what is warned of, and that the plan is told.
#include "runtime/engine/memory_check.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/support/data.h"

namespace assay {
namespace {

constexpr std::uint64_t kGb = 1'000'000'000;
constexpr MemoryPlan kPlan{.weights_bytes = 4 * kGb, .kv_bytes = 2 * kGb, .activation_bytes = 1 * kGb};

std::string answer(WeightsAre weights, const MemorySupply& supply) {
  const auto checked = check_memory(kPlan, weights, supply);
  return checked ? "fits: " + *checked : std::string(name_of(checked.error().code)) + ": " + checked.error().detail;
}

TEST(MemoryCheck, RefusesWithThePlanWhatTheMachineCannotHold) {
  EXPECT_EQ(answer(WeightsAre::mapped, {8 * kGb, 8 * kGb}), "fits: ");
  EXPECT_EQ(answer(WeightsAre::mapped, {6 * kGb, 6 * kGb}),
            "memory: needs 7.00 GB of memory (weights 4.00 GB, KV cache 2.00 GB, activations 1.00 GB), and there are 6.00 GB in all; a shorter context, an 8-bit cache or a smaller quantisation needs less");
}

TEST(MemoryCheck, MappedWeightsMayBeDroppedAndKeptOnesMayNot) {
  EXPECT_TRUE(answer(WeightsAre::mapped, {8 * kGb, 5 * kGb}).starts_with("fits: needs 7.00 GB of memory (weights 4.00 GB")) << "tight, but possible";
  EXPECT_NE(answer(WeightsAre::mapped, {8 * kGb, 5 * kGb}).find("5.00 GB are free: weights may have to be read from the disk again and again"), std::string::npos);
  EXPECT_TRUE(answer(WeightsAre::kept, {8 * kGb, 5 * kGb}).starts_with("memory: needs 7.00 GB")) << "copied or locked";
  EXPECT_NE(answer(WeightsAre::kept, {8 * kGb, 5 * kGb}).find("7.00 GB of it must stay in memory, of which 5.00 GB are free"), std::string::npos);
  EXPECT_NE(answer(WeightsAre::mapped, {8 * kGb, 2 * kGb}).find("3.00 GB of it must stay in memory"), std::string::npos);
}

TEST(MemoryCheck, WhatIsNotKnownRefusesNothing) { EXPECT_EQ(answer(WeightsAre::kept, {}), "fits: "); }

TEST(MemoryCheck, TheControlGroupsLimitIsTheSupply) {
  const test::TemporaryFolder folder;
  const auto write = [&](const std::string& name, const std::string& text) {
    std::filesystem::create_directories((folder.path() / name).parent_path());
    std::ofstream(folder.path() / name) << text;
  };
  write("proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 9000000 kB\n");
  EXPECT_EQ(read_memory_supply(folder.path()).total, 16000000ull * 1024);
  EXPECT_EQ(read_memory_supply(folder.path()).available, 9000000ull * 1024);
  write("sys/fs/cgroup/memory.max", "3000000000\n");
  write("sys/fs/cgroup/memory.current", "1000000000\n");
  EXPECT_EQ(read_memory_supply(folder.path()).total, 3 * kGb);
  EXPECT_EQ(read_memory_supply(folder.path()).available, 2 * kGb);
  EXPECT_GT(read_memory_supply().available, 0u) << "of this machine";
}

}  // namespace
}  // namespace assay
