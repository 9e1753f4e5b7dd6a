// Name lookup by Asio, connecting to the first address that answers, and reads and writes that poll.
#include "runtime/hub/socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "runtime/hub/socket_parts.h"

namespace assay {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr milliseconds kSlice{50};         // how long a wait may go on before it looks whether to stop
constexpr milliseconds kNextAddress{250};  // RFC 8305, section 5

Error network(std::string host, std::string detail) {
  return Error{Code::network, std::move(host), std::move(detail)};
}

Result<std::vector<asio::ip::tcp::endpoint>> look_up(const std::string& host, std::uint16_t port, Deadline deadline,
                                                     const std::atomic<bool>& stop) {
  asio::io_context context;
  asio::ip::tcp::resolver resolver(context);
  std::vector<asio::ip::tcp::endpoint> found;
  boost::system::error_code problem;
  bool is_done = false;
  resolver.async_resolve(host, std::to_string(port), [&](const boost::system::error_code& code, const auto& results) {
    problem = code;
    for (const auto& entry : results) found.push_back(entry.endpoint());
    is_done = true;
  });
  while (!is_done) {
    context.run_one_for(kSlice);
    if (stop.load(std::memory_order_relaxed)) return stopped();
    if (!is_done && steady_clock::now() >= deadline) return network(host, "the name server does not answer");
  }
  if (problem)
    return network(host, "the name cannot be looked up: " + problem.message() + "; check the name and the network");
  return found;
}

struct Attempt {
  int number = -1;
  ~Attempt() {
    if (number >= 0) ::close(number);
  }
  Attempt() = default;
  Attempt(Attempt&& other) noexcept : number(std::exchange(other.number, -1)) {}
  Attempt& operator=(Attempt&& other) noexcept {
    std::swap(number, other.number);
    return *this;
  }
};

// A socket that is connecting, or the reason why it cannot.
Attempt start(const asio::ip::tcp::endpoint& endpoint, int& problem) {
  Attempt attempt;
  attempt.number = ::socket(endpoint.data()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (attempt.number >= 0 &&
      (::connect(attempt.number, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0 ||
       errno == EINPROGRESS))
    return attempt;
  problem = errno;
  return {};
}

// The first of `attempts` that is connected within `time`; those that failed are dropped.
Attempt first_connected(std::vector<Attempt>& attempts, milliseconds time, int& problem) {
  std::vector<pollfd> polled;
  for (const Attempt& attempt : attempts) polled.push_back({attempt.number, POLLOUT, 0});
  if (::poll(polled.data(), polled.size(), static_cast<int>(time.count())) <= 0) return {};
  Attempt winner;
  for (std::size_t i = polled.size(); i-- > 0;) {
    if (polled[i].revents == 0) continue;
    int failure = 0;
    socklen_t size = sizeof(failure);
    ::getsockopt(polled[i].fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure == 0) winner = std::move(attempts[i]);
    if (failure != 0) problem = failure;
    attempts.erase(attempts.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return winner;
}

}  // namespace

Error stopped() {
  return Error{Code::interrupted, "", "stopped"};
}

Result<> wait_for(int descriptor, short events, Deadline deadline, const std::atomic<bool>& stop) {
  for (;;) {
    if (stop.load(std::memory_order_relaxed)) return stopped();
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
    if (left.count() < 0) return network("", kNoAnswer);
    pollfd polled{descriptor, events, 0};
    const int ready = ::poll(&polled, 1, static_cast<int>(std::min(left, kSlice).count()));
    if (ready > 0) return success();
    if (ready < 0 && errno != EINTR) return network("", std::string("waiting failed: ") + std::strerror(errno));
    if (left.count() == 0) return network("", kNoAnswer);
  }
}

Socket::Socket(std::unique_ptr<State> state) : state_(std::move(state)) {}
Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&&) noexcept = default;
Socket::~Socket() = default;

Result<Socket> Socket::connect(const std::string& host, std::uint16_t port, Deadline deadline,
                               const std::atomic<bool>& stop) {
  ASSAY_TRY(const std::vector<asio::ip::tcp::endpoint> endpoints, look_up(host, port, deadline, stop));
  std::vector<Attempt> attempts;
  int problem = 0;
  std::size_t next = 0;
  Deadline next_start = steady_clock::now();
  while (next < endpoints.size() || !attempts.empty()) {
    if (stop.load(std::memory_order_relaxed)) return stopped();
    const auto now = steady_clock::now();
    if (now >= deadline) return network(host, "no connection in time; check the network, or give it longer");
    if (next < endpoints.size() && (attempts.empty() || now >= next_start)) {
      if (Attempt attempt = start(endpoints[next++], problem); attempt.number >= 0)
        attempts.push_back(std::move(attempt));
      next_start = now + kNextAddress;
    }
    if (attempts.empty()) continue;
    Attempt winner = first_connected(attempts, kSlice, problem);
    if (winner.number < 0) continue;
    const int on = 1;
    ::setsockopt(winner.number, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ::setsockopt(winner.number, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    return Socket(std::make_unique<State>(std::exchange(winner.number, -1), stop));
  }
  return network(host, "cannot connect to port " + std::to_string(port) + ": " + std::strerror(problem));
}

Result<std::size_t> Socket::read(std::span<std::byte> into, Deadline deadline) {
  for (;;) {
    Result<std::size_t> count = state_->tls ? state_->read_tls(into) : state_->read_plain(into);
    if (!count || *count != State::kMustWait) return count;
    ASSAY_TRY_VOID(wait_for(state_->descriptor, state_->wanted, deadline, state_->stop));
  }
}

Result<> Socket::write(Bytes bytes, Deadline deadline) {
  while (!bytes.empty()) {
    ASSAY_TRY(const std::size_t count, state_->tls ? state_->write_tls(bytes) : state_->write_plain(bytes));
    if (count == State::kMustWait) {
      ASSAY_TRY_VOID(wait_for(state_->descriptor, state_->wanted, deadline, state_->stop));
    } else {
      bytes = bytes.subspan(count);
    }
  }
  return success();
}

Socket::State::~State() {
  free_tls();
  ::close(descriptor);
}

Result<std::size_t> Socket::State::read_plain(std::span<std::byte> into) {
  wanted = POLLIN;
  const ssize_t count = ::recv(descriptor, into.data(), into.size(), 0);
  if (count >= 0) return static_cast<std::size_t>(count);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return kMustWait;
  return network("", std::string("the connection broke: ") + std::strerror(errno));
}

Result<std::size_t> Socket::State::write_plain(Bytes bytes) {
  wanted = POLLOUT;
  const ssize_t count = ::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count >= 0) return static_cast<std::size_t>(count);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return kMustWait;
  return network("", std::string("the connection broke: ") + std::strerror(errno));
}

}  // namespace assay
