// TLS by OpenSSL over a non-blocking descriptor: trust, handshake, reads and writes.
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runtime/core/assert.h"
#include "runtime/hub/socket_parts.h"

namespace assay {

namespace {

// AES-128 first, as browsers have it: as safe for this, and a quarter faster than AES-256 on both sides.
constexpr const char* kSuites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr std::size_t kReadAhead = 256 << 10;  // several records for one call of the system

SSL* ssl_of(void* tls) {
  return static_cast<SSL*>(tls);
}

// OpenSSL's own descriptor BIO writes with write(), which can raise SIGPIPE; this one cannot.
int write_bytes(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::send(static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio))), data,
                               static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(count);
}

int read_bytes(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::recv(static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio))), data,
                               static_cast<std::size_t>(size), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (count == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(count);
}

long control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* make_method() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "descriptor");
  ASSAY_CHECK(method != nullptr);
  BIO_meth_set_write(method, write_bytes);
  BIO_meth_set_read(method, read_bytes);
  BIO_meth_set_ctrl(method, control);
  return method;
}

BIO* make_bio(int descriptor) {
  static BIO_METHOD* const method = make_method();  // never changes and lives as long as the program
  BIO* bio = BIO_new(method);
  ASSAY_CHECK(bio != nullptr);
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor)));
  BIO_set_init(bio, 1);
  return bio;
}

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* text = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return text != nullptr ? text : "no reason given";
}

Error broken(std::string_view what) {
  const unsigned long code = ERR_peek_last_error();
  std::string detail(what);
  if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
    detail += ": the other side cut the encrypted connection off";
  else
    detail += ": " + (code != 0 ? openssl_reason() : std::string(std::strerror(errno)));
  ERR_clear_error();
  return Error{Code::network, "", std::move(detail)};
}

Error not_believed(const std::string& host, long verdict) {
  ERR_clear_error();
  return Error{Code::denied, host,
               std::string("its certificate is not believed: ") + X509_verify_cert_error_string(verdict) +
                   "; if your network has a certificate authority of its own, name its file in SSL_CERT_FILE"};
}

}  // namespace

TlsTrust::TlsTrust() {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  ASSAY_CHECK(context != nullptr);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_ciphersuites(context, kSuites);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_default_verify_paths(context);  // honours SSL_CERT_FILE and SSL_CERT_DIR
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kReadAhead);
  context_ = context;
}

TlsTrust::~TlsTrust() {
  SSL_CTX_free(static_cast<SSL_CTX*>(context_));
}

Result<> Socket::start_tls(const TlsTrust& trust, const std::string& host, Deadline deadline) {
  SSL* ssl = SSL_new(static_cast<SSL_CTX*>(trust.context()));
  ASSAY_CHECK(ssl != nullptr);
  state_->tls = ssl;
  BIO* bio = make_bio(state_->descriptor);
  SSL_set_bio(ssl, bio, bio);
  boost::system::error_code not_an_address;
  boost::asio::ip::make_address(host, not_an_address);
  if (not_an_address) {
    SSL_set_tlsext_host_name(ssl, host.c_str());
    SSL_set1_host(ssl, host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  }
  for (;;) {
    ERR_clear_error();
    const int answer = SSL_connect(ssl);
    if (answer == 1) return success();
    const int reason = SSL_get_error(ssl, answer);
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
      ASSAY_TRY_VOID(
          wait_for(state_->descriptor, reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline, state_->stop));
      continue;
    }
    const long verdict = SSL_get_verify_result(ssl);
    return verdict != X509_V_OK ? not_believed(host, verdict) : broken("no encrypted connection");
  }
}

Result<std::size_t> Socket::State::wait_for_tls(int answer) {
  switch (SSL_get_error(ssl_of(tls), answer)) {
    case SSL_ERROR_WANT_READ:
      wanted = POLLIN;
      return kMustWait;
    case SSL_ERROR_WANT_WRITE:
      wanted = POLLOUT;
      return kMustWait;
    default:
      return broken("the encrypted connection broke");
  }
}

Result<std::size_t> Socket::State::read_tls(std::span<std::byte> into) {
  std::size_t filled = 0;
  while (filled < into.size()) {
    ERR_clear_error();
    std::size_t count = 0;
    const int answer = SSL_read_ex(ssl_of(tls), into.data() + filled, into.size() - filled, &count);
    if (answer == 1) {
      filled += count;
      continue;
    }
    if (filled > 0) break;
    if (SSL_get_error(ssl_of(tls), answer) == SSL_ERROR_ZERO_RETURN) return std::size_t{0};
    return wait_for_tls(answer);
  }
  return filled;
}

Result<std::size_t> Socket::State::write_tls(Bytes bytes) {
  ERR_clear_error();
  std::size_t count = 0;
  const int answer = SSL_write_ex(ssl_of(tls), bytes.data(), bytes.size(), &count);
  if (answer == 1) return count;
  return wait_for_tls(answer);
}

void Socket::State::free_tls() {
  if (tls == nullptr) return;
  SSL_free(ssl_of(tls));
  tls = nullptr;
}

}  // namespace assay
