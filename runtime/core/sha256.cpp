// OpenSSL's EVP digest behind Sha256.
#include "runtime/core/sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "runtime/core/assert.h"

namespace assay {

struct Sha256::State {
  struct Free {
    void operator()(EVP_MD_CTX* digest) const { EVP_MD_CTX_free(digest); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};

  void start() { ASSAY_CHECK(context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) { state_->start(); }
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(Bytes bytes) { ASSAY_CHECK(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1); }

std::string Sha256::finish() {
  constexpr char kHex[] = "0123456789abcdef";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  ASSAY_CHECK(EVP_DigestFinal_ex(state_->context.get(), digest, &size) == 1);
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kHex[digest[i] >> 4];
    text += kHex[digest[i] & 15];
  }
  state_->start();
  return text;
}

std::string sha256_of(Bytes bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

namespace {

struct OpenFile {
  int number;
  ~OpenFile() {
    if (number >= 0) ::close(number);
  }
};

Error read_error(const std::filesystem::path& path, int number) {
  return Error{number == ENOENT ? Code::not_found : Code::io, "", std::string("cannot read: ") + std::strerror(number), path.string()};
}

}  // namespace

Result<std::string> sha256_of_file(const std::filesystem::path& path, ProgressFn progress) {
  const OpenFile file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.number < 0) return read_error(path, errno);
  struct stat info {};
  if (::fstat(file.number, &info) != 0) return read_error(path, errno);
  const std::string task = "hash " + path.filename().string();

  Sha256 hash;
  std::vector<std::byte> piece(1 << 20);
  for (std::uint64_t done = 0;;) {
    const ssize_t count = ::read(file.number, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return read_error(path, errno);
    if (count == 0) return hash.finish();
    hash.update(Bytes(piece.data(), static_cast<std::size_t>(count)));
    done += static_cast<std::uint64_t>(count);
    if (!progress({.task = task, .done = done, .total = static_cast<std::uint64_t>(info.st_size)}))
      return Error{Code::interrupted, "", "hashing was stopped", path.string()};
  }
}

}  // namespace assay
