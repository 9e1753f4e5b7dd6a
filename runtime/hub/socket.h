// Socket: one TCP connection, plain or under TLS, whose every wait ends at a deadline or when somebody says stop.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "runtime/core/bytes.h"
#include "runtime/core/error.h"

namespace assay {

using Deadline = std::chrono::steady_clock::time_point;
inline Deadline after(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

// The certificates that are believed: the system's, or what SSL_CERT_FILE and SSL_CERT_DIR name. TLS 1.2 and later.
class TlsTrust {
 public:
  TlsTrust();
  ~TlsTrust();
  TlsTrust(const TlsTrust&) = delete;
  void* context() const { return context_; }  // SSL_CTX*

 private:
  void* context_;
};

// Errors: network (it may work another time), denied (the certificate is not believed), interrupted.
class Socket {
 public:
  // Looks the name up and tries its addresses, a further one every quarter of a second, until one answers.
  static Result<Socket> connect(const std::string& host, std::uint16_t port, Deadline deadline,
                                const std::atomic<bool>& stop);

  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;
  ~Socket();

  // From here on everything is encrypted, and the other side has proved that it is `host`.
  Result<> start_tls(const TlsTrust& trust, const std::string& host, Deadline deadline);

  // At least one byte, as many as are there; 0 when the other side has ended the stream in an orderly way.
  Result<std::size_t> read(std::span<std::byte> into, Deadline deadline);
  Result<> write(Bytes bytes, Deadline deadline);

 private:
  struct State;
  explicit Socket(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace assay
