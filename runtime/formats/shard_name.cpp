// Taking shard names apart and putting them together.
#include "runtime/formats/shard_name.h"

#include <charconv>
#include <cstdio>

namespace assay {

namespace {

constexpr std::size_t kDigits = 5;

// Takes five digits off the end of `text`.
std::optional<std::uint32_t> take_number(std::string_view& text) {
  if (text.size() < kDigits) return std::nullopt;
  const std::string_view digits = text.substr(text.size() - kDigits);
  std::uint32_t number = 0;
  const auto end = std::from_chars(digits.data(), digits.data() + kDigits, number);
  if (end.ec != std::errc() || end.ptr != digits.data() + kDigits) return std::nullopt;
  text.remove_suffix(kDigits);
  return number;
}

bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

}  // namespace

std::string ShardName::part(std::uint32_t part_number) const {
  char middle[48];
  std::snprintf(middle, sizeof middle, "-%05u-of-%05u", part_number, count);
  return prefix + middle + extension;
}

std::optional<ShardName> parse_shard_name(std::string_view file_name) {
  ShardName name;
  for (const std::string_view extension : {".gguf", ".safetensors"})
    if (name.extension.empty() && take_suffix(file_name, extension)) name.extension = extension;
  if (name.extension.empty()) return std::nullopt;
  const auto count = take_number(file_name);
  if (!count || !take_suffix(file_name, "-of-")) return std::nullopt;
  const auto number = take_number(file_name);
  if (!number || !take_suffix(file_name, "-") || *number == 0 || *number > *count) return std::nullopt;
  name.prefix = file_name;
  name.number = *number;
  name.count = *count;
  return name;
}

}  // namespace assay
