// The passport list: every element type a model file may carry, known by name and block size, computable or not.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace assay {

// Names are the world's names. MLX_* and NF4/FP4 are not self-contained: their scales lie in tensors of their own.
enum class FormatId : std::uint8_t {
  F32,
  F16,
  BF16,
  F64,
  I8,
  I16,
  I32,
  I64,
  U8,
  U16,
  U32,
  U64,
  BOOL,
  C64,
  F8_E4M3,
  F8_E5M2,
  F8_E8M0,
  F8_E4M3FNUZ,
  F8_E5M2FNUZ,
  F6_E2M3,
  F6_E3M2,
  F4,
  Q4_0,
  Q4_1,
  Q5_0,
  Q5_1,
  Q8_0,
  Q8_1,
  Q1_0,
  Q2_K,
  Q3_K,
  Q4_K,
  Q5_K,
  Q6_K,
  Q8_K,
  IQ1_S,
  IQ1_M,
  IQ2_XXS,
  IQ2_XS,
  IQ2_S,
  IQ3_XXS,
  IQ3_S,
  IQ4_NL,
  IQ4_XS,
  TQ1_0,
  TQ2_0,
  MXFP4,
  NVFP4,
  MLX_Q2,
  MLX_Q3,
  MLX_Q4,
  MLX_Q5,
  MLX_Q6,
  MLX_Q8,
  NF4,
  FP4,
  kCount
};

constexpr int kNoGgmlId = -1;

// One row of the table. A block of `block_values` values takes `block_bytes` bytes, rows hold whole blocks.
struct DtypeRow {
  FormatId id;
  std::string_view name;              // as users write it
  int ggml_id;                        // the type number in a GGUF file, kNoGgmlId when it has none
  std::string_view safetensors_name;  // the dtype in a safetensors header, empty when it has none
  std::uint32_t block_values;
  std::uint32_t block_bytes;
  bool is_weight;  // quant/ has a decoder, so it can be a weight matrix
};

inline constexpr std::array kDtypes = {
    DtypeRow{FormatId::F32, "F32", 0, "F32", 1, 4, true},
    DtypeRow{FormatId::F16, "F16", 1, "F16", 1, 2, true},
    DtypeRow{FormatId::BF16, "BF16", 30, "BF16", 1, 2, true},
    DtypeRow{FormatId::F64, "F64", 28, "F64", 1, 8, true},
    DtypeRow{FormatId::I8, "I8", 24, "I8", 1, 1, true},
    DtypeRow{FormatId::I16, "I16", 25, "I16", 1, 2, false},
    DtypeRow{FormatId::I32, "I32", 26, "I32", 1, 4, false},
    DtypeRow{FormatId::I64, "I64", 27, "I64", 1, 8, false},
    DtypeRow{FormatId::U8, "U8", kNoGgmlId, "U8", 1, 1, false},
    DtypeRow{FormatId::U16, "U16", kNoGgmlId, "U16", 1, 2, false},
    DtypeRow{FormatId::U32, "U32", kNoGgmlId, "U32", 1, 4, false},
    DtypeRow{FormatId::U64, "U64", kNoGgmlId, "U64", 1, 8, false},
    DtypeRow{FormatId::BOOL, "BOOL", kNoGgmlId, "BOOL", 1, 1, false},
    DtypeRow{FormatId::C64, "C64", kNoGgmlId, "C64", 1, 8, false},
    DtypeRow{FormatId::F8_E4M3, "F8_E4M3", kNoGgmlId, "F8_E4M3", 1, 1, true},
    DtypeRow{FormatId::F8_E5M2, "F8_E5M2", kNoGgmlId, "F8_E5M2", 1, 1, true},
    DtypeRow{FormatId::F8_E8M0, "F8_E8M0", kNoGgmlId, "F8_E8M0", 1, 1, false},
    DtypeRow{FormatId::F8_E4M3FNUZ, "F8_E4M3FNUZ", kNoGgmlId, "F8_E4M3FNUZ", 1, 1, false},
    DtypeRow{FormatId::F8_E5M2FNUZ, "F8_E5M2FNUZ", kNoGgmlId, "F8_E5M2FNUZ", 1, 1, false},
    // Sub-byte safetensors types: the smallest run of values that ends on a byte.
    DtypeRow{FormatId::F6_E2M3, "F6_E2M3", kNoGgmlId, "F6_E2M3", 4, 3, false},
    DtypeRow{FormatId::F6_E3M2, "F6_E3M2", kNoGgmlId, "F6_E3M2", 4, 3, false},
    DtypeRow{FormatId::F4, "F4", kNoGgmlId, "F4", 2, 1, false},
    DtypeRow{FormatId::Q4_0, "Q4_0", 2, "", 32, 18, true},
    DtypeRow{FormatId::Q4_1, "Q4_1", 3, "", 32, 20, true},
    DtypeRow{FormatId::Q5_0, "Q5_0", 6, "", 32, 22, true},
    DtypeRow{FormatId::Q5_1, "Q5_1", 7, "", 32, 24, true},
    DtypeRow{FormatId::Q8_0, "Q8_0", 8, "", 32, 34, true},
    DtypeRow{FormatId::Q8_1, "Q8_1", 9, "", 32, 36, false},
    DtypeRow{FormatId::Q1_0, "Q1_0", 41, "", 128, 18, true},
    DtypeRow{FormatId::Q2_K, "Q2_K", 10, "", 256, 84, true},
    DtypeRow{FormatId::Q3_K, "Q3_K", 11, "", 256, 110, true},
    DtypeRow{FormatId::Q4_K, "Q4_K", 12, "", 256, 144, true},
    DtypeRow{FormatId::Q5_K, "Q5_K", 13, "", 256, 176, true},
    DtypeRow{FormatId::Q6_K, "Q6_K", 14, "", 256, 210, true},
    DtypeRow{FormatId::Q8_K, "Q8_K", 15, "", 256, 292, false},
    DtypeRow{FormatId::IQ1_S, "IQ1_S", 19, "", 256, 50, true},
    DtypeRow{FormatId::IQ1_M, "IQ1_M", 29, "", 256, 56, true},
    DtypeRow{FormatId::IQ2_XXS, "IQ2_XXS", 16, "", 256, 66, true},
    DtypeRow{FormatId::IQ2_XS, "IQ2_XS", 17, "", 256, 74, true},
    DtypeRow{FormatId::IQ2_S, "IQ2_S", 22, "", 256, 82, true},
    DtypeRow{FormatId::IQ3_XXS, "IQ3_XXS", 18, "", 256, 98, true},
    DtypeRow{FormatId::IQ3_S, "IQ3_S", 21, "", 256, 110, true},
    DtypeRow{FormatId::IQ4_NL, "IQ4_NL", 20, "", 32, 18, true},
    DtypeRow{FormatId::IQ4_XS, "IQ4_XS", 23, "", 256, 136, true},
    DtypeRow{FormatId::TQ1_0, "TQ1_0", 34, "", 256, 54, true},
    DtypeRow{FormatId::TQ2_0, "TQ2_0", 35, "", 256, 66, true},
    DtypeRow{FormatId::MXFP4, "MXFP4", 39, "", 32, 17, true},
    DtypeRow{FormatId::NVFP4, "NVFP4", 40, "", 64, 36, true},
    // MLX packs little-endian 32-bit words: 32 values take `bits` words whatever the bits.
    DtypeRow{FormatId::MLX_Q2, "MLX_Q2", kNoGgmlId, "", 32, 8, true},
    DtypeRow{FormatId::MLX_Q3, "MLX_Q3", kNoGgmlId, "", 32, 12, true},
    DtypeRow{FormatId::MLX_Q4, "MLX_Q4", kNoGgmlId, "", 32, 16, true},
    DtypeRow{FormatId::MLX_Q5, "MLX_Q5", kNoGgmlId, "", 32, 20, true},
    DtypeRow{FormatId::MLX_Q6, "MLX_Q6", kNoGgmlId, "", 32, 24, true},
    DtypeRow{FormatId::MLX_Q8, "MLX_Q8", kNoGgmlId, "", 32, 32, true},
    DtypeRow{FormatId::NF4, "NF4", kNoGgmlId, "", 2, 1, true},
    DtypeRow{FormatId::FP4, "FP4", kNoGgmlId, "", 2, 1, true},
};

constexpr bool dtypes_in_enum_order() {
  if (kDtypes.size() != static_cast<std::size_t>(FormatId::kCount)) return false;
  for (std::size_t i = 0; i < kDtypes.size(); ++i)
    if (static_cast<std::size_t>(kDtypes[i].id) != i) return false;
  return true;
}
static_assert(dtypes_in_enum_order());

constexpr const DtypeRow& dtype_of(FormatId id) {
  return kDtypes[static_cast<std::size_t>(id)];
}
constexpr std::string_view name_of(FormatId id) {
  return dtype_of(id).name;
}

constexpr std::optional<FormatId> format_from_ggml(std::uint32_t ggml_id) {
  for (const DtypeRow& row : kDtypes)
    if (row.ggml_id >= 0 && static_cast<std::uint32_t>(row.ggml_id) == ggml_id) return row.id;
  return std::nullopt;
}
constexpr std::optional<FormatId> format_from_safetensors(std::string_view name) {
  for (const DtypeRow& row : kDtypes)
    if (!row.safetensors_name.empty() && row.safetensors_name == name) return row.id;
  return std::nullopt;
}
constexpr std::optional<FormatId> format_from_name(std::string_view name) {
  for (const DtypeRow& row : kDtypes)
    if (row.name == name) return row.id;
  return std::nullopt;
}

// Type numbers that ggml once used and removed: known by name so that the message can say so.
constexpr std::optional<std::string_view> removed_ggml_type(std::uint32_t ggml_id) {
  switch (ggml_id) {
    case 4:
      return "Q4_2";
    case 5:
      return "Q4_3";
    case 31:
      return "Q4_0_4_4";
    case 32:
      return "Q4_0_4_8";
    case 33:
      return "Q4_0_8_8";
    case 36:
      return "IQ4_NL_4_4";
    case 37:
      return "IQ4_NL_4_8";
    case 38:
      return "IQ4_NL_8_8";
    default:
      return std::nullopt;
  }
}

}  // namespace assay
