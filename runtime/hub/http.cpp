// One HTTP connection: requests written by hand, answers parsed by Boost.Beast, bodies of known length read straight
// through.
#include "runtime/hub/http.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include "runtime/hub/socket_parts.h"

namespace assay {

namespace beast_http = boost::beast::http;

namespace {

constexpr std::uint32_t kHeaderLimit = 64 << 10;
constexpr std::size_t kHeadPiece = 16 << 10;
constexpr std::uint64_t kAlive = 1024;  // bytes that count as progress within a stall timeout

using Parser = beast_http::response_parser<beast_http::buffer_body>;

Error network(std::string detail) {
  return Error{Code::network, "", std::move(detail)};
}

HttpHead head_of(const Parser& parser, const Url& url) {
  HttpHead head{.status = parser.get().result_int(), .url = url};
  for (const auto& field : parser.get())
    head.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  if (const auto length = parser.content_length()) head.length = *length;
  return head;
}

}  // namespace

bool is_same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

std::string_view header_of(const HttpHeaders& headers, std::string_view name) {
  for (const auto& [key, value] : headers)
    if (is_same_name(key, name)) return value;
  return {};
}

struct HttpConnection::State {
  State(const HttpOptions& all_options, const TlsTrust& tls_trust, const std::atomic<bool>& stop_flag)
      : options(all_options), trust(tls_trust), stop(stop_flag) {}

  const HttpOptions& options;
  const TlsTrust& trust;
  const std::atomic<bool>& stop;
  std::optional<Socket> socket{};
  std::string place{};  // origin, and the proxy on the way
  std::optional<Url> proxy{};
  std::optional<Parser> parser{};
  std::vector<std::byte> pending{};  // read and not yet parsed or handed on
  std::size_t pending_at = 0;
  std::uint64_t body_left = 0;  // of a body of known length
  bool is_plain_body = false;   // known length: bytes are handed on without the parser
  bool keeps_alive = false;
  std::chrono::steady_clock::duration stall_left{};  // time in reads until the transfer counts as stalled
  std::uint64_t since_alive = 0;

  Result<> connect(const Url& url);
  Result<> tunnel(const Url& url, Deadline deadline);
  std::string request_text(const HttpRequest& request) const;
  Result<> fill(Deadline deadline);
  Result<> read_head(bool has_body, Deadline deadline);
  Result<HttpHead> exchange(const HttpRequest& request);
  Result<std::size_t> read_known(std::span<std::byte> into);
  Result<std::size_t> read_parsed(std::span<std::byte> into);
  void count_stall(std::size_t count, Deadline began);
};

HttpConnection::HttpConnection(const HttpOptions& options, const TlsTrust& trust, const std::atomic<bool>& stop)
    : state_(std::make_unique<State>(options, trust, stop)) {}
HttpConnection::HttpConnection(HttpConnection&&) noexcept = default;
HttpConnection::~HttpConnection() = default;

// Reads what there is into `pending`. At the end of the stream nothing is added.
Result<> HttpConnection::State::fill(Deadline deadline) {
  if (pending_at == pending.size()) pending.clear(), pending_at = 0;
  const std::size_t old = pending.size();
  pending.resize(old + kHeadPiece);
  Result<std::size_t> count = socket->read(std::span(pending).subspan(old), deadline);
  pending.resize(old + (count ? *count : 0));
  if (!count) return std::move(count).error();
  return success();
}

// Parses up to the end of the header.
Result<> HttpConnection::State::read_head(bool has_body, Deadline deadline) {
  parser.emplace();
  parser->header_limit(kHeaderLimit);
  parser->body_limit(boost::none);
  parser->skip(!has_body);
  while (!parser->is_header_done()) {
    const std::size_t old = pending.size() - pending_at;
    ASSAY_TRY_VOID(fill(deadline));
    if (pending.size() - pending_at == old) return network("the connection was closed before an answer came");
    boost::system::error_code problem;
    parser->get().body().data = nullptr;
    const std::size_t used =
        parser->put(boost::asio::buffer(pending.data() + pending_at, pending.size() - pending_at), problem);
    pending_at += used;
    if (problem == beast_http::error::need_more || problem == beast_http::error::need_buffer) continue;
    if (problem == beast_http::error::header_limit)
      return Error{Code::malformed, "", "the answer's header is larger than 64 kB; this is no server for files"};
    if (problem) return Error{Code::malformed, "", "the answer is not HTTP: " + problem.message()};
  }
  return success();
}

Result<> HttpConnection::State::tunnel(const Url& url, Deadline deadline) {
  const std::string target = url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
  const std::string place_text = target + ":" + std::to_string(url.port);
  std::string text = "CONNECT " + place_text + " HTTP/1.1\r\nHost: " + place_text + "\r\n";
  if (!proxy->user_info.empty()) text += "Proxy-Authorization: Basic " + base64(proxy->user_info) + "\r\n";
  text += "\r\n";
  ASSAY_TRY_VOID(socket->write(std::as_bytes(std::span(text)), deadline));
  ASSAY_TRY_VOID(read_head(false, deadline));
  const unsigned status = parser->get().result_int();
  if (status / 100 == 2) return success();
  const bool is_refusal = status == 407 || status == 403;
  return Error{is_refusal ? Code::denied : Code::network, proxy->authority(),
               "the proxy does not connect to " + place_text + ": it answers " + std::to_string(status) +
                   (status == 407 ? "; put name and password into the proxy's URL" : "")};
}

Result<> HttpConnection::State::connect(const Url& url) {
  ASSAY_TRY(proxy, proxy_for(url, options.proxies));
  const std::string wanted = url.origin() + (proxy ? " by " + proxy->origin() : "");
  if (socket && place == wanted) return success();
  socket.reset();
  pending.clear();
  pending_at = 0;
  const Deadline deadline = after(options.connect_timeout);
  const Url& first = proxy ? *proxy : url;
  ASSAY_TRY(Socket connected, Socket::connect(first.host, first.port, deadline, stop));
  socket.emplace(std::move(connected));
  if (proxy && proxy->scheme == "https") ASSAY_TRY_VOID(socket->start_tls(trust, proxy->host, deadline));
  if (url.scheme == "https") {
    if (proxy) ASSAY_TRY_VOID(tunnel(url, deadline));
    ASSAY_TRY_VOID(socket->start_tls(trust, url.host, deadline));
  }
  place = wanted;
  return success();
}

std::string HttpConnection::State::request_text(const HttpRequest& request) const {
  const bool is_absolute = proxy && request.url.scheme == "http";
  std::string text(request.method);
  text += " " + (is_absolute ? request.url.text() : request.url.target) +
          " HTTP/1.1\r\nHost: " + request.url.authority() + "\r\n";
  text += "User-Agent: " + options.user_agent + "\r\nAccept: */*\r\nAccept-Encoding: identity\r\n";
  if (is_absolute && !proxy->user_info.empty())
    text += "Proxy-Authorization: Basic " + base64(proxy->user_info) + "\r\n";
  for (const auto& [name, value] : request.headers) {
    text += name + ": ";
    // A value that came from a network or a file must not begin a header of its own.
    std::copy_if(value.begin(), value.end(), std::back_inserter(text),
                 [](char c) { return c != '\r' && c != '\n' && c != '\0'; });
    text += "\r\n";
  }
  return text + "\r\n";
}

Result<HttpHead> HttpConnection::State::exchange(const HttpRequest& request) {
  ASSAY_TRY_VOID(connect(request.url));
  const Deadline deadline = after(options.answer_timeout);
  const std::string text = request_text(request);
  ASSAY_TRY_VOID(socket->write(std::as_bytes(std::span(text)), deadline));
  do {
    ASSAY_TRY_VOID(read_head(request.method != "HEAD", deadline));
  } while (parser->get().result_int() / 100 == 1);  // "100 Continue" and its like come before the answer
  HttpHead head = head_of(*parser, request.url);
  keeps_alive = parser->keep_alive();
  is_plain_body = request.method == "HEAD" || (head.length.has_value() && !parser->chunked());
  body_left = is_plain_body && request.method != "HEAD" && !parser->is_done() ? head.length.value_or(0) : 0;
  since_alive = 0;
  stall_left = options.stall_timeout;
  return head;
}

Result<HttpHead> HttpConnection::send(const HttpRequest& request) {
  State& state = *state_;
  const bool was_open = state.socket.has_value();
  if (was_open && !is_reusable()) close();
  state.parser.reset();
  Result<HttpHead> head = state.exchange(request);
  // A server may close an idle connection at any time, which shows only when it is used.
  if (!head && head.error().code == Code::network && head.error().detail != kNoAnswer && was_open) {
    close();
    head = state.exchange(request);
  }
  if (!head) {
    close();
    Error error = std::move(head).error();
    if (error.subject.empty() && error.code != Code::interrupted) error.subject = request.url.authority();
    return error;
  }
  return head;
}

// Only the time spent in reads counts: whoever reads may take as long as they like in between.
void HttpConnection::State::count_stall(std::size_t count, Deadline began) {
  stall_left -= std::chrono::steady_clock::now() - began;
  since_alive += count;
  if (since_alive < kAlive) return;
  since_alive = 0;
  stall_left = options.stall_timeout;
}

Result<std::size_t> HttpConnection::State::read_known(std::span<std::byte> into) {
  if (body_left == 0) return std::size_t{0};
  into = into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), body_left)));
  std::size_t count = std::min(pending.size() - pending_at, into.size());
  if (count > 0) {
    std::memcpy(into.data(), pending.data() + pending_at, count);
    pending_at += count;
  } else {
    const Deadline now = std::chrono::steady_clock::now();
    ASSAY_TRY(count, socket->read(into, now + stall_left));
    if (count == 0) return network("the connection was closed " + std::to_string(body_left) + " bytes before the end");
    count_stall(count, now);
  }
  body_left -= count;
  return count;
}

Result<std::size_t> HttpConnection::State::read_parsed(std::span<std::byte> into) {
  while (!parser->is_done()) {
    auto& body = parser->get().body();
    body.data = into.data();
    body.size = into.size();
    boost::system::error_code problem;
    if (pending_at < pending.size()) {
      pending_at += parser->put(boost::asio::buffer(pending.data() + pending_at, pending.size() - pending_at), problem);
      if (problem && problem != beast_http::error::need_more && problem != beast_http::error::need_buffer)
        return network("the answer's body is damaged: " + problem.message());
      if (const std::size_t count = into.size() - body.size; count > 0) return count;
      if (problem == beast_http::error::need_buffer || (!problem && pending_at < pending.size())) continue;
      if (parser->is_done()) break;
    }
    const std::size_t old = pending.size() - pending_at;
    const Deadline now = std::chrono::steady_clock::now();
    ASSAY_TRY_VOID(fill(now + stall_left));
    count_stall(pending.size() - pending_at - old, now);
    if (pending.size() - pending_at != old) continue;
    parser->put_eof(problem);
    if (problem || !parser->is_done()) return network("the connection was closed in the middle of the body");
  }
  return std::size_t{0};
}

Result<std::size_t> HttpConnection::read(std::span<std::byte> into) {
  State& state = *state_;
  if (!state.socket || !state.parser || into.empty()) return std::size_t{0};
  Result<std::size_t> count = state.is_plain_body ? state.read_known(into) : state.read_parsed(into);
  if (count) return count;
  Error error = std::move(count).error();
  if (error.code == Code::network && error.detail == kNoAnswer) error.detail = "the transfer stalled";
  close();
  return error;
}

bool HttpConnection::is_reusable() const {
  const State& state = *state_;
  if (!state.socket || !state.parser || !state.keeps_alive) return false;
  return state.is_plain_body ? state.body_left == 0 : state.parser->is_done();
}

void HttpConnection::close() {
  state_->socket.reset();
  state_->parser.reset();
  state_->place.clear();
}

}  // namespace assay
