// What tests of the registry start from: places of their own, a hub's cache made by hand, and a stub of a hub.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "runtime/registry/library.h"
#include "tests/hub/hub_stub.h"
#include "tests/registry/hub_cache.h"

namespace assay::test {

// A small model's file as a hub has it: "Q8_0", "Q4_K_M" or "F16".
inline StubFile weights(const std::string& name) {
  return {.content = read_text(nano_gguf(name)), .is_large = true};
}

class RegistryWorld : public ::testing::Test {
 protected:
  RegistryWorld() {
    options_.cache_folder = places_.hub_cache = cache_.root();
    options_.files_folder = places_.url_files = folder_.path() / "files";
    options_.retry = {
        .tries = 1, .first_wait = std::chrono::milliseconds(1), .longest_wait = std::chrono::milliseconds(1)};
    places_.home = folder_.path() / "home";
    places_.fixtures = fixture("");
  }
  void serve(std::map<std::string, StubRepository> repositories) {
    stub_ = std::make_unique<HubStub>(std::move(repositories));
    options_.endpoint = stub_->endpoint();
  }
  Library open() {
    auto library = Library::open(places_);
    EXPECT_TRUE(library) << library.error().message();
    return std::move(*library);
  }

  TemporaryFolder folder_;
  HubCache cache_{folder_.path() / "hub"};
  Places places_;
  HubOptions options_;
  std::unique_ptr<HubStub> stub_;
};

}  // namespace assay::test
