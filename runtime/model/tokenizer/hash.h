// A fast hash of short texts and of id pairs, for open addressing: 64-bit multiply and fold.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace assay {

inline std::uint64_t fold_multiply(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t hash_text(std::string_view text) {
  constexpr std::uint64_t kMix = 0x9e3779b97f4a7c15u;
  std::uint64_t hash = kMix ^ (text.size() * 0xff51afd7ed558ccdu);
  const char* at = text.data();
  std::size_t left = text.size();
  std::uint64_t word = 0;
  for (; left >= 8; left -= 8, at += 8) {
    std::memcpy(&word, at, 8);
    hash = fold_multiply(hash ^ word, 0xa0761d6478bd642fu);
  }
  if (left > 0) {
    word = 0;
    std::memcpy(&word, at, left);
    hash = fold_multiply(hash ^ word, 0xe7037ed1a0b428dbu);
  }
  return fold_multiply(hash, kMix);
}

inline std::uint64_t hash_pair(std::uint64_t pair) { return fold_multiply(pair ^ 0x9e3779b97f4a7c15u, 0xa0761d6478bd642fu); }

}  // namespace assay
