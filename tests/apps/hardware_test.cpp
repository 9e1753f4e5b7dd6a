// assay hardware as users run it.
#include <gtest/gtest.h>

#include "tests/apps/command.h"

namespace assay {
namespace {

TEST(AssayHardware, MeasuresEveryLimit) {
  const auto ran = test::assay({"hardware", "--json", "--seconds", "0.01", "--threads", "1"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const auto json = parse_json(ran.out);
  ASSERT_TRUE(json) << ran.out;
  EXPECT_EQ(*json->find("schema")->string(), "assay.hardware/1");
  const Json* limits = json->find("limits");
  ASSERT_NE(limits, nullptr);
  for (const char* name : {"read_1_gbps", "write_1_gbps", "copy_1_gbps", "int8_dot_1_gmacs", "f32_fma_1_gmacs"})
    EXPECT_GT(limits->find(name)->number().value_or(0), 0.0) << name;
  EXPECT_FALSE(json->find("host")->find("cpu_model")->string()->empty());
  EXPECT_GT(json->find("disk")->find("free_bytes")->number().value_or(0), 0.0);
}

TEST(AssayHardware, FactsAloneNeedNoMeasuring) {
  const auto ran = test::assay({"hardware", "--no-measure"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  for (const char* name : {"cpu ", "isa ", "memory ", "disk "}) EXPECT_NE(ran.out.find(name), std::string::npos) << name << ran.out;
  EXPECT_EQ(ran.out.find("GB/s"), std::string::npos);
}

TEST(AssayHardware, RefusesNoThreads) { test::expect_error(test::assay({"hardware", "--threads", "0"}), 2, "threads"); }

}  // namespace
}  // namespace assay
