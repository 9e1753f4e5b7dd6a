// SHA-1 by OpenSSL beside core's SHA-256.
#include "runtime/hub/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <vector>

#include "runtime/core/assert.h"
#include "runtime/core/sha256.h"

namespace assay {

struct Hasher::State {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  Sha256 sha256{};
  std::unique_ptr<EVP_MD_CTX, Free> sha1{};  // set for git's hash
};

std::optional<Digest> digest_of_etag(std::string_view etag) {
  const bool is_hex =
      std::all_of(etag.begin(), etag.end(), [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; });
  if (!is_hex || (etag.size() != 64 && etag.size() != 40)) return std::nullopt;
  Digest digest{.kind = etag.size() == 64 ? DigestKind::sha256 : DigestKind::git_sha1, .hex = std::string(etag)};
  for (char& c : digest.hex) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return digest;
}

std::string_view name_of(DigestKind kind) {
  return kind == DigestKind::sha256 ? "SHA-256" : "git SHA-1";
}

Hasher::Hasher(DigestKind kind, std::uint64_t size) : state_(std::make_unique<State>()) {
  if (kind == DigestKind::sha256) return;
  state_->sha1.reset(EVP_MD_CTX_new());
  ASSAY_CHECK(state_->sha1 != nullptr && EVP_DigestInit_ex(state_->sha1.get(), EVP_sha1(), nullptr) == 1);
  const std::string head = "blob " + std::to_string(size);
  ASSAY_CHECK(EVP_DigestUpdate(state_->sha1.get(), head.c_str(), head.size() + 1) == 1);  // with its NUL
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(Bytes bytes) {
  if (!state_->sha1) return state_->sha256.update(bytes);
  ASSAY_CHECK(EVP_DigestUpdate(state_->sha1.get(), bytes.data(), bytes.size()) == 1);
}

std::string Hasher::finish() {
  if (!state_->sha1) return state_->sha256.finish();
  constexpr char kHex[] = "0123456789abcdef";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  ASSAY_CHECK(EVP_DigestFinal_ex(state_->sha1.get(), digest, &size) == 1);
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += {kHex[digest[i] >> 4], kHex[digest[i] & 15]};
  return text;
}

Result<std::string> hash_file(const std::filesystem::path& path, DigestKind kind, ProgressFn progress) {
  if (kind == DigestKind::sha256) return sha256_of_file(path, progress);
  std::error_code problem;
  const std::uint64_t size = std::filesystem::file_size(path, problem);
  std::ifstream in(path, std::ios::binary);
  if (problem || !in) return Error{Code::io, "", "cannot read", path.string()};
  Hasher hasher(kind, size);
  std::vector<char> piece(1 << 20);
  std::uint64_t done = 0;
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())), in.gcount() > 0) {
    const auto count = static_cast<std::size_t>(in.gcount());
    hasher.update(std::as_bytes(std::span(piece).first(count)));
    done += count;
    if (!progress({.task = "hash " + path.filename().string(), .done = done, .total = size}))
      return Error{Code::interrupted, "", "hashing was stopped", path.string()};
  }
  if (in.bad()) return Error{Code::io, "", "cannot read", path.string()};
  return hasher.finish();
}

}  // namespace assay
