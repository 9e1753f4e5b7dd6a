// HubStub: a hub on loopback with repositories in memory, and a second host that the large files redirect to.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "tests/hub/server.h"

namespace assay::test {

struct StubFile {
  std::string content;
  bool is_large = false;  // LFS: hashed by SHA-256, served by the second host
  std::string etag{};     // filled by the stub
};

struct StubRepository {
  std::string commit = "0123456789abcdef0123456789abcdef01234567";
  std::map<std::string, StubFile> files;
  bool is_gated = false;
  std::string token{};       // needed to read it; empty: none
  std::string renamed_to{};  // every address redirects there, relatively
};

class HubStub {
 public:
  // `files_host`: what the second host is called in redirects, so that it differs by more than its port.
  explicit HubStub(std::map<std::string, StubRepository> repositories, std::string certificate = "",
                   std::string key = "");
  ~HubStub();

  std::string endpoint() const;
  TestServer& hub() const { return *hub_; }
  TestServer& files() const { return *files_; }

  // Looked at for every answer of the second host, to make it faulty.
  using Spoil = std::function<void(const ServerRequest&, ServerReply&)>;
  void spoil_files(Spoil spoil);
  void spoil_hub(Spoil spoil);

  std::size_t page_size = 1000;  // files in one page of a listing
  // Changes a file; the commit becomes `commit`.
  void change(const std::string& repository, const std::string& path, StubFile file, const std::string& commit);

 private:
  ServerReply answer(const ServerRequest& request);
  ServerReply answer_api(const ServerRequest& request, const std::string& path);
  ServerReply answer_paths(const ServerRequest& request, const StubRepository& repository);
  ServerReply answer_file(const ServerRequest& request, const std::string& path);

  mutable std::mutex mutex_;
  std::map<std::string, StubRepository> repositories_;
  std::map<std::string, std::string> blobs_;  // by etag; never shrinks, so that views stay good
  Spoil spoil_files_, spoil_hub_;
  std::unique_ptr<TestServer> files_, hub_;  // the hub, which names the other one, goes first
};

}  // namespace assay::test
