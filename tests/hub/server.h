// TestServer: an HTTP server on loopback that can do everything wrong that servers do.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace assay::test {

struct ServerRequest {
  std::string method, target;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body{};
  std::string header(std::string_view name) const;
};

struct ServerReply {
  unsigned status = 200;
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string_view body{};  // must outlive the server, or be `owned`
  std::string owned{};      // used when `body` is empty
  // Faults.
  std::optional<std::uint64_t> drop_after{};   // close after so many bytes of the body
  std::optional<std::uint64_t> stall_after{};  // say nothing more after so many bytes
  std::optional<std::uint64_t> announced{};    // another Content-Length
  std::uint64_t bytes_per_second = 0;          // of this answer; 0: no limit
  bool is_chunked = false, has_no_length = false;
  bool resets = false;  // a drop is a TCP reset (under TLS: without the closing alert)
  std::string raw{};    // sent instead of everything else
};

// Answers a range request of `content` as a good server does: 206 with Content-Range, 416, If-Range, ETag; 200 without
// a range.
ServerReply serve(const ServerRequest& request, std::string_view content, const std::string& etag);

class TestServer {
 public:
  using Handler = std::function<ServerReply(const ServerRequest&)>;
  // `certificate` and `key` (PEM files): TLS.
  explicit TestServer(Handler handler, std::string certificate = "", std::string key = "");
  ~TestServer();
  TestServer(const TestServer&) = delete;

  unsigned short port() const;
  std::string url(std::string_view target, std::string_view host = "127.0.0.1") const;
  std::uint64_t body_bytes() const;  // sent so far
  std::vector<ServerRequest> requests() const;
  std::size_t request_count() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// So many bytes that look random, the same for the same seed.
std::string random_text(std::size_t bytes, std::uint64_t seed);

}  // namespace assay::test
