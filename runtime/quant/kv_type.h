// KvType: how cached keys and values are stored.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace assay {

enum class KvType : std::uint8_t {
  f32,
  f16,
  q8_0  // 8-bit levels, an F16 scale for kKvGroup values of one position
};
inline constexpr std::uint32_t kKvGroup = 32;

inline constexpr std::array<std::pair<KvType, std::string_view>, 3> kKvTypeNames = {{{KvType::f32, "f32"}, {KvType::f16, "f16"}, {KvType::q8_0, "q8_0"}}};

constexpr std::optional<KvType> kv_type_from_name(std::string_view name) {
  for (const auto& [type, its_name] : kKvTypeNames)
    if (its_name == name) return type;
  return std::nullopt;
}
constexpr std::string_view name_of(KvType type) { return kKvTypeNames[static_cast<std::size_t>(type)].second; }

// Bytes of one value, scales apart.
constexpr std::uint32_t kv_value_bytes(KvType type) { return type == KvType::f32 ? 4 : type == KvType::f16 ? 2 : 1; }
// Scales of one position of one head.
constexpr std::uint32_t kv_groups(KvType type, std::uint32_t head_dim) { return type == KvType::q8_0 ? (head_dim + kKvGroup - 1) / kKvGroup : 0; }

}  // namespace assay
