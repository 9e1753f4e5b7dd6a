// The byte alphabet of GPT-2's tokenizer: every byte has a printable character that stands for it in vocabularies.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/model/tokenizer/utf8.h"

namespace assay::byte_level {

// Printable Latin-1 bytes stand for themselves; the other 68, in order, take U+0100 and up.
constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

constexpr std::size_t kCharacters = 0x100 + 68;

constexpr std::array<char16_t, 256> make_character_of() {
  std::array<char16_t, 256> table{};
  char16_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) table[byte] = stands_for_itself(byte) ? static_cast<char16_t>(byte) : next++;
  return table;
}
inline constexpr std::array<char16_t, 256> kCharacterOf = make_character_of();

constexpr std::array<std::int16_t, kCharacters> make_byte_of() {
  std::array<std::int16_t, kCharacters> table{};
  for (auto& byte : table) byte = -1;
  for (unsigned byte = 0; byte < 256; ++byte) table[kCharacterOf[byte]] = static_cast<std::int16_t>(byte);
  return table;
}
inline constexpr std::array<std::int16_t, kCharacters> kByteOf = make_byte_of();

// Appends the characters that stand for `bytes`.
inline void append_characters(std::string& out, std::string_view bytes) {
  for (const char c : bytes) utf8::append(out, kCharacterOf[static_cast<std::uint8_t>(c)]);
}

// The bytes that `text` stands for; `text` itself when a character in it stands for no byte.
inline std::string to_bytes(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8::sequence_length(text.substr(at));
    if (length == 0) return std::string(text);
    const char32_t code = utf8::decode(text.substr(at), length);
    if (code >= kCharacters || kByteOf[code] < 0) return std::string(text);
    out.push_back(static_cast<char>(kByteOf[code]));
    at += length;
  }
  return out;
}

}  // namespace assay::byte_level
