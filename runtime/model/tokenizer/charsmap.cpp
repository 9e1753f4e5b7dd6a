// The walk through a precompiled character map. Unit layout: Darts-clone, 32 bits each.
#include "runtime/model/tokenizer/charsmap.h"

#include "runtime/model/tokenizer/utf8.h"

namespace assay {
namespace {

// bit 8: a value hangs here; bit 9: the offset is shifted by 8; bits 10-30: offset; bits 0-7 and 31: label (31 set: a value).
bool has_value(std::uint32_t unit) { return unit >> 8 & 1; }
std::uint32_t offset_of(std::uint32_t unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }
std::uint32_t label_of(std::uint32_t unit) { return unit & (1u << 31 | 0xffu); }
std::uint32_t value_of(std::uint32_t unit) { return unit & ((1u << 31) - 1); }

}  // namespace

Result<Charsmap> Charsmap::parse(Bytes bytes) {
  const auto malformed = [](std::string detail) { return Error{Code::malformed, "precompiled charsmap", std::move(detail)}; };
  ByteReader reader(bytes);
  const auto size = reader.read<std::uint32_t>();
  if (!size) return malformed("is shorter than its own header");
  const auto units = reader.read_bytes(*size);
  if (!units || *size % sizeof(std::uint32_t) != 0 || *size == 0) return malformed("declares a trie that does not fit in it");
  Charsmap map;
  for (std::size_t at = 0; at < units->size(); at += sizeof(std::uint32_t)) map.units_.push_back(load<std::uint32_t>(units->data() + at));
  const auto text = reader.read_text(reader.remaining());
  map.replacements_ = *text;
  return map;
}

Charsmap::Match Charsmap::longest(std::string_view text) const {
  Match best;
  std::uint32_t at = offset_of(units_[0]);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    at ^= byte;
    if (byte == 0 || at >= units_.size() || label_of(units_[at]) != byte) break;
    const std::uint32_t unit = units_[at];
    at ^= offset_of(unit);
    if (!has_value(unit)) continue;
    if (at >= units_.size()) break;
    const std::size_t begin = value_of(units_[at]);
    if (begin >= replacements_.size()) break;
    best.length = i + 1;
    best.replacement = std::string_view(replacements_).substr(begin, replacements_.find('\0', begin) - begin);
  }
  return best;
}

std::string Charsmap::run(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Match match = longest(text);
    const std::size_t length = match.length ? match.length : utf8::step(text);
    out += match.length ? match.replacement : text.substr(0, length);
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace assay
