// The encoders' front door: what can be encoded, the checks on values, and rows of element and block formats.
#include "runtime/quant/encode.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "runtime/core/assert.h"
#include "runtime/quant/elements.h"
#include "runtime/quant/encode_blocks.h"
#include "runtime/quant/encode_values.h"

namespace assay {
namespace encode {

std::optional<std::size_t> first_not_finite(std::span<const float> values) {
  // A sum of value * 0 is 0 for finite values and NaN otherwise; only then is the culprit looked for.
  Float4 sum{};
  std::size_t i = 0;
  for (; i + 4 <= values.size(); i += 4) sum += load4(values.data() + i) * 0.0f;
  float rest = sum4(sum);
  for (; i < values.size(); ++i) rest += values[i] * 0.0f;
  if (rest == 0) return std::nullopt;
  const auto culprit = std::ranges::find_if_not(values, [](float value) { return std::isfinite(value); });
  return static_cast<std::size_t>(culprit - values.begin());
}

Error not_finite(float value, std::uint64_t column) {
  const std::string what = std::isnan(value) ? "NaN" : value > 0 ? "infinity" : "-infinity";
  return {Code::range, "column " + std::to_string(column), "the value is " + what + "; a weight must be a finite number"};
}

Error too_large(FormatId format, std::uint64_t first_column, std::string_view limit) {
  return {Code::range, "column " + std::to_string(first_column),
          "values there are too large for " + std::string(name_of(format)) + " (" + std::string(limit) + "); use BF16 or F32"};
}

}  // namespace encode

namespace {

using namespace encode;

// Every weight 1, for blocks of up to 256 values.
constexpr auto kOnes = [] {
  std::array<float, 256> ones{};
  ones.fill(1.0f);
  return ones;
}();

template <class F>
Result<> encode_blocks(std::span<const float> in, std::byte* out, std::span<const float> importance) {
  using Block = typename F::Block;
  for (std::size_t first = 0; first < in.size(); first += F::kBlock, out += sizeof(Block)) {
    Block block;
    const float* weights = importance.empty() ? kOnes.data() : importance.data() + first;
    if (!encode_block(in.data() + first, weights, block)) return too_large(F::kId, first, "its scale is an F16, at most 65504");
    std::memcpy(out, &block, sizeof block);
  }
  return success();
}

Result<> encode_f16(std::span<const float> in, std::byte* out) {
  for (std::size_t i = 0; i < in.size(); ++i) {
    const Half half = to_half(in[i]);
    if (!is_finite(half)) return too_large(FormatId::F16, i, "at most 65504");
    std::memcpy(out + 2 * i, &half, 2);
  }
  return success();
}

Result<> encode_bf16(std::span<const float> in, std::byte* out) {
  for (std::size_t i = 0; i < in.size(); ++i) {
    const BFloat16 value = to_bfloat16(in[i]);
    if ((value.bits & 0x7f80u) == 0x7f80u) return too_large(FormatId::BF16, i, "at most 3.39e38");
    std::memcpy(out + 2 * i, &value, 2);
  }
  return success();
}

}  // namespace

bool has_encoder(FormatId format) {
  switch (format) {
    case FormatId::F32: case FormatId::F16: case FormatId::BF16:
    case FormatId::Q4_0: case FormatId::Q4_1: case FormatId::Q5_0: case FormatId::Q5_1: case FormatId::Q8_0:
    case FormatId::Q2_K: case FormatId::Q3_K: case FormatId::Q4_K: case FormatId::Q5_K: case FormatId::Q6_K:
    case FormatId::IQ4_NL: case FormatId::IQ4_XS: case FormatId::MXFP4:
      return true;
    default:
      return has_side_scales(format);
  }
}

Result<> encode_row(FormatId format, std::span<const float> in, std::span<std::byte> out, std::span<const float> importance) {
  const DtypeRow& row = dtype_of(format);
  ASSAY_CHECK(in.size() % row.block_values == 0 && out.size() == in.size() / row.block_values * row.block_bytes);
  ASSAY_CHECK(importance.empty() || importance.size() == in.size());
  if (const auto column = first_not_finite(in)) return not_finite(in[*column], *column);
  switch (format) {
    case FormatId::F32: std::memcpy(out.data(), in.data(), out.size()); return success();
    case FormatId::F16: return encode_f16(in, out.data());
    case FormatId::BF16: return encode_bf16(in, out.data());
    case FormatId::Q4_0: return encode_blocks<Q4_0>(in, out.data(), importance);
    case FormatId::Q4_1: return encode_blocks<Q4_1>(in, out.data(), importance);
    case FormatId::Q5_0: return encode_blocks<Q5_0>(in, out.data(), importance);
    case FormatId::Q5_1: return encode_blocks<Q5_1>(in, out.data(), importance);
    case FormatId::Q8_0: return encode_blocks<Q8_0>(in, out.data(), importance);
    case FormatId::Q2_K: return encode_blocks<Q2_K>(in, out.data(), importance);
    case FormatId::Q3_K: return encode_blocks<Q3_K>(in, out.data(), importance);
    case FormatId::Q4_K: return encode_blocks<Q4_K>(in, out.data(), importance);
    case FormatId::Q5_K: return encode_blocks<Q5_K>(in, out.data(), importance);
    case FormatId::Q6_K: return encode_blocks<Q6_K>(in, out.data(), importance);
    case FormatId::IQ4_NL: return encode_blocks<IQ4_NL>(in, out.data(), importance);
    case FormatId::IQ4_XS: return encode_blocks<IQ4_XS>(in, out.data(), importance);
    case FormatId::MXFP4: return encode_blocks<MXFP4>(in, out.data(), importance);
    default:
      return Error{Code::unsupported, std::string(name_of(format)),
                   has_side_scales(format) ? "its scales lie in tensors of their own; only safetensors files hold it"
                                            : "Assay decodes this format but does not write it"};
  }
}

}  // namespace assay
