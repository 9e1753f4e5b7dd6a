// The server behind TestServer: Boost.Beast, a thread for each connection.
#include "tests/hub/server.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include <list>
#include <random>
#include <set>

#include "runtime/hub/fetch.h"

namespace assay::test {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using Tcp = asio::ip::tcp;
using std::chrono::milliseconds;

struct TestServer::State {
  Handler handler;
  asio::io_context context;
  asio::ssl::context tls{asio::ssl::context::tls_server};
  bool has_tls = false;
  Tcp::acceptor acceptor{context, Tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::atomic<bool> stops{false};
  std::atomic<std::uint64_t> sent{0};
  mutable std::mutex mutex;
  std::vector<ServerRequest> requests;
  std::set<int> open;
  std::list<std::thread> threads;
  std::thread accepting;

  void accept();
  void serve_connection(Tcp::socket socket);
  template <class Stream>
  void talk(Stream& stream, Tcp::socket& socket);
  template <class Stream>
  bool answer(Stream& stream, Tcp::socket& socket, const ServerReply& reply, bool has_body);
  template <class Stream>
  bool send_body(Stream& stream, Tcp::socket& socket, const ServerReply& reply, std::string_view body);
};

namespace {

// Closing such a socket resets the connection.
void reset_on_close(Tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
}

bool resets_on_close(Tcp::socket& socket) {
  boost::system::error_code ignored;
  asio::socket_base::linger linger;
  socket.get_option(linger, ignored);
  return linger.enabled();
}

std::string head_text(const ServerReply& reply, std::string_view body) {
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " Reason\r\n";
  for (const auto& [name, value] : reply.headers) text += name + ": " + value + "\r\n";
  if (reply.is_chunked)
    text += "Transfer-Encoding: chunked\r\n";
  else if (!reply.has_no_length)
    text += "Content-Length: " + std::to_string(reply.announced.value_or(body.size())) + "\r\n";
  else
    text += "Connection: close\r\n";
  return text + "\r\n";
}

}  // namespace

std::string ServerRequest::header(std::string_view name) const {
  return std::string(header_of(headers, name));
}

ServerReply serve(const ServerRequest& request, std::string_view content, const std::string& etag) {
  ServerReply reply{.status = 200, .headers = {{"ETag", etag}, {"Accept-Ranges", "bytes"}}, .body = content};
  const std::string range = request.header("Range"), condition = request.header("If-Range");
  if (!range.starts_with("bytes=") || (!condition.empty() && condition != etag)) return reply;
  const std::uint64_t begin = std::stoull(range.substr(6));
  const std::string last = range.substr(range.find('-') + 1);
  const std::uint64_t end =
      last.empty() ? content.size() : std::min<std::uint64_t>(content.size(), std::stoull(last) + 1);
  if (begin >= content.size()) {
    reply.status = 416;
    reply.headers.emplace_back("Content-Range", "bytes */" + std::to_string(content.size()));
    reply.body = {};
    return reply;
  }
  reply.status = 206;
  reply.headers.emplace_back("Content-Range", "bytes " + std::to_string(begin) + "-" + std::to_string(end - 1) + "/" +
                                                  std::to_string(content.size()));
  reply.body = content.substr(begin, end - begin);
  return reply;
}

template <class Stream>
bool TestServer::State::send_body(Stream& stream, Tcp::socket& socket, const ServerReply& reply,
                                  std::string_view body) {
  const auto start = std::chrono::steady_clock::now();
  const std::size_t piece =
      reply.bytes_per_second > 0 ? std::clamp<std::size_t>(reply.bytes_per_second / 50, 1, 64 << 10) : 256 << 10;
  for (std::size_t at = 0; at < body.size();) {
    std::size_t count = std::min(piece, body.size() - at);
    if (reply.drop_after) count = std::min<std::size_t>(count, *reply.drop_after - at);
    if (reply.stall_after) count = std::min<std::size_t>(count, *reply.stall_after - at);
    if (count == 0) break;
    boost::system::error_code problem;
    if (reply.is_chunked) {
      char size[32];
      std::snprintf(size, sizeof(size), "%zx\r\n", count);
      asio::write(stream, asio::buffer(std::string_view(size)), problem);
    }
    asio::write(stream, asio::buffer(body.data() + at, count), problem);
    if (reply.is_chunked) asio::write(stream, asio::buffer(std::string_view("\r\n")), problem);
    if (problem) return false;
    at += count;
    sent.fetch_add(count, std::memory_order_relaxed);
    if (reply.bytes_per_second > 0) {
      const auto due =
          start + std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(
                      static_cast<double>(at) / static_cast<double>(reply.bytes_per_second)));
      while (!stops && std::chrono::steady_clock::now() < due)
        std::this_thread::sleep_for(
            std::min<std::chrono::steady_clock::duration>(milliseconds(20), due - std::chrono::steady_clock::now()));
    }
    if (stops) return false;
  }
  if (reply.stall_after) {
    // Silence until the other side gives up or the server goes.
    while (!stops && socket.is_open()) {
      char byte = 0;
      boost::system::error_code problem;
      socket.non_blocking(true, problem);
      const std::size_t count = socket.receive(asio::buffer(&byte, 1), asio::socket_base::message_peek, problem);
      if (problem != asio::error::would_block && count == 0) return false;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }
  if (reply.drop_after) {
    if (reply.resets) reset_on_close(socket);
    return false;
  }
  boost::system::error_code problem;
  if (reply.is_chunked) asio::write(stream, asio::buffer(std::string_view("0\r\n\r\n")), problem);
  return !problem && !reply.has_no_length;
}

template <class Stream>
bool TestServer::State::answer(Stream& stream, Tcp::socket& socket, const ServerReply& reply, bool has_body) {
  boost::system::error_code problem;
  if (!reply.raw.empty()) {
    asio::write(stream, asio::buffer(reply.raw), problem);
    return false;
  }
  const std::string_view body = reply.body.empty() ? std::string_view(reply.owned) : reply.body;
  asio::write(stream, asio::buffer(head_text(reply, body)), problem);
  if (problem) return false;
  return !has_body || send_body(stream, socket, reply, body);
}

template <class Stream>
void TestServer::State::talk(Stream& stream, Tcp::socket& socket) {
  boost::beast::flat_buffer buffer;
  for (;;) {
    beast_http::request_parser<beast_http::string_body> parser;
    boost::system::error_code problem;
    beast_http::read(stream, buffer, parser, problem);
    if (problem) return;
    ServerRequest request{
        std::string(parser.get().method_string()), std::string(parser.get().target()), {}, parser.get().body()};
    for (const auto& field : parser.get())
      request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    {
      const std::lock_guard lock(mutex);
      requests.push_back(request);
    }
    if (!answer(stream, socket, handler(request), request.method != "HEAD") || !parser.get().keep_alive() || stops)
      return;
  }
}

void TestServer::State::serve_connection(Tcp::socket socket) {
  boost::system::error_code ignored;
  const int number = socket.native_handle();
  socket.set_option(Tcp::no_delay(true), ignored);
  if (has_tls) {
    asio::ssl::stream<Tcp::socket&> stream(socket, tls);
    boost::system::error_code problem;
    stream.handshake(asio::ssl::stream_base::server, problem);
    if (!problem) talk(stream, socket);
    if (!problem && !resets_on_close(socket)) {
      // The closing alert, without waiting for the answer to it.
      SSL_shutdown(stream.native_handle());
    }
  } else {
    talk(socket, socket);
  }
  const std::lock_guard lock(mutex);
  open.erase(number);
  if (!resets_on_close(socket)) socket.shutdown(Tcp::socket::shutdown_both, ignored);
  socket.close(ignored);
}

void TestServer::State::accept() {
  while (!stops) {
    Tcp::socket socket(context);
    boost::system::error_code problem;
    acceptor.accept(socket, problem);
    if (problem || stops) return;
    const std::lock_guard lock(mutex);
    open.insert(socket.native_handle());
    threads.emplace_back([this, moved = std::move(socket)]() mutable { serve_connection(std::move(moved)); });
  }
}

TestServer::TestServer(Handler handler, std::string certificate, std::string key) : state_(std::make_unique<State>()) {
  state_->handler = std::move(handler);
  state_->has_tls = !certificate.empty();
  if (state_->has_tls) {
    state_->tls.use_certificate_chain_file(certificate);
    state_->tls.use_private_key_file(key, asio::ssl::context::pem);
  }
  state_->accepting = std::thread([state = state_.get()] { state->accept(); });
}

TestServer::~TestServer() {
  state_->stops = true;
  {
    // Wakes the thread that accepts.
    asio::io_context context;
    Tcp::socket socket(context);
    boost::system::error_code ignored;
    socket.connect(state_->acceptor.local_endpoint(), ignored);
  }
  state_->accepting.join();
  {
    const std::lock_guard lock(state_->mutex);
    for (const int number : state_->open) ::shutdown(number, SHUT_RDWR);
  }
  for (std::thread& thread : state_->threads) thread.join();
}

unsigned short TestServer::port() const {
  return state_->acceptor.local_endpoint().port();
}

std::string TestServer::url(std::string_view target, std::string_view host) const {
  return (state_->has_tls ? "https://" : "http://") + std::string(host) + ":" + std::to_string(port()) +
         std::string(target);
}

std::uint64_t TestServer::body_bytes() const {
  return state_->sent.load();
}

std::vector<ServerRequest> TestServer::requests() const {
  const std::lock_guard lock(state_->mutex);
  return state_->requests;
}

std::size_t TestServer::request_count() const {
  const std::lock_guard lock(state_->mutex);
  return state_->requests.size();
}

std::string random_text(std::size_t bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text(bytes, '\0');
  for (std::size_t at = 0; at < bytes; at += 8) {
    const std::uint64_t value = random();
    std::memcpy(text.data() + at, &value, std::min<std::size_t>(8, bytes - at));
  }
  return text;
}

}  // namespace assay::test
