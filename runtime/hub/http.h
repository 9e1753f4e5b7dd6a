// HttpClient: requests over kept-alive connections (HTTP/1.1, TLS, proxies), redirects followed, bodies read piece by
// piece.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/hub/socket.h"
#include "runtime/hub/url.h"

namespace assay {

// Proxies as the environment names them; empty: none.
struct Proxies {
  std::string http, https;  // URLs, or "host:port"
  std::string none;         // "localhost,.example.com,10.0.0.1:8080" or "*"
};

struct HttpOptions {
  std::chrono::milliseconds connect_timeout{10'000};  // name, TCP and TLS together
  std::chrono::milliseconds answer_timeout{10'000};   // from the request to the end of the answer's header
  std::chrono::milliseconds stall_timeout{10'000};    // less than a kilobyte of the body in this time is a stall
  Proxies proxies{};
  std::string user_agent = "assay";
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;
bool is_same_name(std::string_view a, std::string_view b);  // of headers: letters in any case
// The value of the (first) header of that name, in any case; empty where there is none.
std::string_view header_of(const HttpHeaders& headers, std::string_view name);

struct HttpRequest {
  std::string_view method = "GET";
  Url url;
  HttpHeaders headers{};
};

// The head of an answer: everything but its body.
struct HttpHead {
  unsigned status = 0;
  HttpHeaders headers{};
  std::optional<std::uint64_t> length{};  // of the body; nothing where the answer does not say
  Url url{};                              // what answered, after redirects

  std::string_view header(std::string_view name) const { return header_of(headers, name); }
};

// One connection to one place, opened when it is needed and again when it was closed. Errors as Socket's; malformed
// when the answer is no HTTP or its header is larger than 64 kB.
class HttpConnection {
 public:
  HttpConnection(const HttpOptions& options, const TlsTrust& trust, const std::atomic<bool>& stop);
  HttpConnection(HttpConnection&&) noexcept;
  ~HttpConnection();

  Result<HttpHead> send(const HttpRequest& request);
  // The next bytes of the body; 0 at its end. Error: network when the connection ends before the body does.
  Result<std::size_t> read(std::span<std::byte> into);
  // Nothing of the last answer is left unread, and the other side keeps the connection open.
  bool is_reusable() const;
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Follows redirects, over one connection for each place. Authorization goes to the first request's origin only; an
// https URL never leads to an http one. Not for several threads at once: each has a client of its own.
class HttpClient {
 public:
  HttpClient(const HttpOptions& options, const TlsTrust& trust, const std::atomic<bool>& stop);

  // `redirects`, when given, receives the heads of the answers that led on.
  Result<HttpHead> open(HttpRequest request, std::vector<HttpHead>* redirects = nullptr);
  Result<std::size_t> read(std::span<std::byte> into);
  // The whole body as text. Error: malformed when it is larger than `limit`.
  Result<std::string> read_all(std::size_t limit);
  // Ends the exchange: a short rest of the body is read so that the connection can be used again, a long one closes it.
  void finish();
  void close();

 private:
  HttpConnection& connection_to(const Url& url);

  const HttpOptions& options_;
  const TlsTrust& trust_;
  const std::atomic<bool>& stop_;
  std::map<std::string, HttpConnection> connections_;  // by origin
  HttpConnection* current_ = nullptr;
};

// The proxy for a URL; nothing when it is reached directly. Errors: malformed, unsupported (SOCKS).
Result<std::optional<Url>> proxy_for(const Url& url, const Proxies& proxies);

// Base64 (RFC 4648, section 4), for proxy passwords.
std::string base64(std::string_view text);

}  // namespace assay
