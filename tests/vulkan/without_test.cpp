// A program built without Vulkan: null.cpp, linked here before the library, must have every entry point (else linking fails), and say so.
#include <gtest/gtest.h>

#include "runtime/engine/session.h"
#include "runtime/model/model.h"
#include "tests/support/data.h"

namespace assay {
namespace {

constexpr const char* kSentence = "this program was built without Vulkan";

TEST(WithoutVulkan, DevicesSayThatItWasNotBuiltIn) {
  EXPECT_FALSE(vulkan::is_built());
  const auto devices = vulkan::list_devices();
  ASSERT_FALSE(devices);
  EXPECT_EQ(devices.error().code, Code::unsupported);
  EXPECT_NE(devices.error().message().find(kSentence), std::string::npos) << devices.error().message();
  EXPECT_FALSE(vulkan::Device::open(0));
}

TEST(WithoutVulkan, SessionsAreRefusedByNameAndTakeTheCpuByAuto) {
  const auto file = open_model(test::fixture("architectures") / "llama/model.gguf");
  ASSERT_TRUE(file) << file.error().message();
  const auto model = bind_model(*file);
  ASSERT_TRUE(model) << model.error().message();
  const auto named = Session::open(*model, {.backend = BackendKind::vulkan, .context = 16});
  ASSERT_FALSE(named);
  EXPECT_TRUE(is_of_device(named.error()));
  EXPECT_NE(named.error().message().find(kSentence), std::string::npos) << named.error().message();
  auto automatic = Session::open(*model, {.backend = BackendKind::automatic, .context = 16});
  ASSERT_TRUE(automatic) << automatic.error().message();
  EXPECT_TRUE(automatic->options().backend == BackendKind::cpu);
  EXPECT_NE(automatic->backend_note().find(kSentence), std::string::npos) << automatic->backend_note();
}

}  // namespace
}  // namespace assay
