// A fixture model opened and bound, and sessions on it.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "runtime/engine/session.h"
#include "tests/support/data.h"

namespace assay::test {

// The parameter names a model.
class SessionTest : public ::testing::TestWithParam<const char*> {
 protected:
  void open_fixture(const std::filesystem::path& path) {
    auto opened = open_model(path);
    ASSERT_TRUE(opened) << opened.error().message();
    file_.emplace(std::move(*opened));
    auto bound = bind_model(*file_);
    ASSERT_TRUE(bound) << bound.error().message();
    model_.emplace(std::move(*bound));
  }
  Session open(const SessionOptions& options) {
    auto session = Session::open(*model_, options);
    EXPECT_TRUE(session) << session.error().message();
    return std::move(*session);
  }
  static std::vector<float> copy(Result<std::span<const float>> logits) {
    EXPECT_TRUE(logits) << logits.error().message();
    return logits ? std::vector<float>(logits->begin(), logits->end()) : std::vector<float>();
  }

  std::optional<ModelFile> file_;
  std::optional<Model> model_;
};

}  // namespace assay::test
