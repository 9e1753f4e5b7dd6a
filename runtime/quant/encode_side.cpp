// Encoders of formats whose scales lie in tensors of their own: MLX affine, FP8, NF4 and FP4.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/core/assert.h"
#include "runtime/quant/encode.h"
#include "runtime/quant/encode_blocks.h"
#include "runtime/quant/encode_values.h"
#include "runtime/quant/fp8.h"
#include "runtime/quant/mlx_affine.h"
#include "runtime/quant/nf4.h"

namespace assay {
namespace {

using namespace encode;

constexpr auto kOnes = [] {
  std::array<float, 128> ones{};
  ones.fill(1.0f);
  return ones;
}();

// A stream of scales in F32, F16 or BF16.
class ScaleStream {
 public:
  ScaleStream(FormatId format, std::uint64_t count) : format_(format), bytes_(count * dtype_of(format).block_bytes) {}

  float rounded(float value) const {
    if (format_ == FormatId::F16) return to_float(to_half(value));
    return format_ == FormatId::BF16 ? to_float(to_bfloat16(value)) : value;
  }
  void put(std::uint64_t index, float value) {
    std::byte* at = bytes_.data() + index * dtype_of(format_).block_bytes;
    if (format_ == FormatId::F32) std::memcpy(at, &value, 4);
    const Half half = to_half(value);
    const BFloat16 brain = to_bfloat16(value);
    if (format_ == FormatId::F16) std::memcpy(at, &half, 2);
    if (format_ == FormatId::BF16) std::memcpy(at, &brain, 2);
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  FormatId format_;
  std::vector<std::byte> bytes_;
};

// ---- MLX affine

// The better of `best` and the line through `scale` and `offset` after rounding both to the stream's type; the offset is then
// moved to where the rounded scale wants it.
void consider_line(const Group& group, int top, LineFit candidate, float unit, const ScaleStream& stream, LineFit& best) {
  const float scale = stream.rounded(candidate.scale * unit) / unit;
  float offset = stream.rounded(candidate.offset * unit) / unit;
  for (int pass = 0; pass < 2; ++pass) {
    const LineCheck check = check_line(group, top, scale, offset);
    if (check.error < best.error) best = {scale, offset, check.error};
    offset = stream.rounded((offset + check.mean_rest) * unit) / unit;
  }
}

// The line that gives the value 0 exactly: the end further from 0 is a whole number of steps away.
LineFit line_through_zero(const Group& group, int top) {
  const auto [low, high] = std::minmax_element(group.values, group.values + group.count);
  const float width = *high - *low;
  if (width <= 0) return {0, *low, 0};
  const float edge = -*low > *high ? *low : *high;
  const float steps = std::max(1.0f, std::round(std::fabs(edge) * static_cast<float>(top) / width));
  const float scale = std::fabs(edge) / steps;
  return {scale, edge < 0 ? edge : edge - scale * static_cast<float>(top), 0};
}

LineFit fit_stored(const Group& group, int top, float unit, const ScaleStream& stream) {
  LineFit best{0, 0, INFINITY};
  const LineSearch search{.max_level = top, .steps = 4, .step = 0.25f, .refinements = 2};
  consider_line(group, top, fit_line(group, search), unit, stream, best);
  consider_line(group, top, line_through_zero(group, top), unit, stream, best);
  return best;
}

template <MlxFormat F>
void pack_levels(const std::uint8_t* levels, std::uint32_t count, std::byte* out) {
  for (std::uint32_t i = 0; i < count; i += 8, out += F::kBits) {
    std::uint64_t bits = 0;
    for (int k = 0; k < 8; ++k) bits |= std::uint64_t{levels[i + k]} << (k * F::kBits);
    std::memcpy(out, &bits, F::kBits);
  }
}

template <MlxFormat F>
Result<SideEncoded> encode_mlx(const SideEncodeOptions& options, std::span<const float> in, std::uint64_t cols) {
  if (options.group != 32 && options.group != 64 && options.group != 128)
    return Error{Code::usage, "group", "MLX groups hold 32, 64 or 128 values, not " + std::to_string(options.group)};
  if (cols % options.group != 0)
    return Error{Code::usage, "group", "rows of " + std::to_string(cols) + " values do not hold whole groups of " + std::to_string(options.group)};
  const std::uint64_t groups = in.size() / options.group;
  ScaleStream scales(options.scale_format, groups), biases(options.scale_format, groups);
  SideEncoded out;
  out.data.resize(in.size() / 8 * F::kBits);
  for (std::uint64_t g = 0; g < groups; ++g) {
    const float* values = in.data() + g * options.group;
    const auto group_of = [&](const float* from) { return Group{from, kOnes.data(), static_cast<int>(options.group)}; };
    const float unit = unit_of(group_of(values));
    LineFit line;
    std::uint8_t levels[128] = {};
    if (unit != 0) {
      float scaled[128];
      for (std::uint32_t i = 0; i < options.group; ++i) scaled[i] = values[i] / unit;
      line = fit_stored(group_of(scaled), F::kMaxLevel, unit, scales);
      line_levels(group_of(scaled), F::kMaxLevel, line, levels);
    }
    if (!std::isfinite(line.error))
      return too_large(F::kId, g * options.group % cols, "its scales are " + std::string(name_of(options.scale_format)));
    scales.put(g, line.scale * unit);
    biases.put(g, line.offset * unit);
    pack_levels<F>(levels, options.group, out.data.data() + g * options.group / 8 * F::kBits);
  }
  out.scales = scales.take();
  out.biases = biases.take();
  return out;
}

// ---- FP8

struct F8Facts {
  int mantissa_bits;
  int smallest_normal;  // exponent
  std::uint8_t largest_code;
  float largest;
};
constexpr F8Facts kE4M3{3, -6, 0x7e, 448.0f};
constexpr F8Facts kE5M2{2, -14, 0x7b, 57344.0f};

// Nearest code, ties to even, saturating at the largest number.
std::uint8_t f8_code(const F8Facts& facts, float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint8_t>((bits >> 24) & 0x80u);
  const float magnitude = std::fabs(value);
  std::uint32_t code = 0;
  if (magnitude < std::ldexp(1.0f, facts.smallest_normal)) {
    code = static_cast<std::uint32_t>(round1(std::ldexp(magnitude, facts.mantissa_bits - facts.smallest_normal)));
  } else {
    const int drop = 23 - facts.mantissa_bits;
    const std::uint32_t low = bits & 0x7fffffffu;
    const std::uint32_t rounded = (low + (1u << (drop - 1)) - 1 + ((low >> drop) & 1u)) >> drop;
    code = rounded - (static_cast<std::uint32_t>(126 + facts.smallest_normal) << facts.mantissa_bits);
  }
  return static_cast<std::uint8_t>(sign | std::min<std::uint32_t>(code, facts.largest_code));
}

const F8Facts& f8_facts(FormatId format) { return format == FormatId::F8_E4M3 ? kE4M3 : kE5M2; }

Result<SideEncoded> encode_f8(const SideEncodeOptions& options, std::span<const float> in, std::uint64_t rows, std::uint64_t cols) {
  const F8Facts& facts = f8_facts(options.format);
  const std::uint64_t tile_cols = options.group == 0 ? cols : options.group;
  const std::uint64_t tile_rows = options.group == 0 ? rows : std::max(options.group_rows, 1u);
  const std::uint64_t across = (cols + tile_cols - 1) / tile_cols, down = (rows + tile_rows - 1) / tile_rows;
  ScaleStream scales(options.scale_format, across * down);
  SideEncoded out;
  out.data.resize(in.size());
  for (std::uint64_t tile = 0; tile < across * down; ++tile) {
    const std::uint64_t first_row = tile / across * tile_rows, end_row = std::min(rows, first_row + tile_rows);
    const std::uint64_t first = tile % across * tile_cols, end = std::min(cols, first + tile_cols);
    float largest = 0;
    for (std::uint64_t row = first_row; row < end_row; ++row)
      for (std::uint64_t col = first; col < end; ++col) largest = std::max(largest, std::fabs(in[row * cols + col]));
    const bool is_given = options.group == 0 && options.scale > 0;
    float scale = scales.rounded(is_given ? options.scale : f8_scale(options.format, largest));
    if (scale == 0) scale = 1;  // too small for the stream's type: all codes become 0
    if (!std::isfinite(scale)) return too_large(options.format, first, "its scales are " + std::string(name_of(options.scale_format)));
    scales.put(tile, scale);
    for (std::uint64_t row = first_row; row < end_row; ++row)
      for (std::uint64_t col = first; col < end; ++col)
        out.data[row * cols + col] = std::byte{f8_code(facts, in[row * cols + col] / scale)};
  }
  out.scales = scales.take();
  return out;
}

// ---- NF4 and FP4

// A code table in rising order, and the code of each place.
struct SortedTable {
  TableLevels levels;
  std::array<std::uint8_t, 16> codes;
};
SortedTable sorted_table(const std::array<float, 16>& table) {
  SortedTable out{};
  std::array<std::uint8_t, 16> order{};
  std::iota(order.begin(), order.end(), std::uint8_t{0});
  std::ranges::stable_sort(order, {}, [&](std::uint8_t code) { return table[code]; });
  for (std::size_t i = 0; i < 16; ++i) out.levels.values[i] = table[order[i]];
  out.levels.low = out.levels.values.front();
  out.levels.high = out.levels.values.back();
  out.codes = order;
  return out;
}

// The factor for a run: its largest magnitude, or a nearby one that fits the whole run better.
float fit_run(const TableLevels& levels, const Group& run, float largest) {
  float best = largest, best_error = scale_error(levels, run, largest);
  for (int i = -3; i <= 3; ++i) {
    const ScaleSums sums = scale_sums(levels, run, (1.0f + 0.04f * static_cast<float>(i)) / largest);
    if (sums.level_level <= 0 || sums.value_level <= 0) continue;
    const float scale = sums.value_level / sums.level_level;
    const float error = scale_error(levels, run, scale);
    if (error >= best_error) continue;
    best = scale;
    best_error = error;
  }
  return best;
}

Result<SideEncoded> encode_four_bit(const SideEncodeOptions& options, std::span<const float> in, std::uint64_t cols) {
  if (options.group == 0 || options.group % 2 != 0) return Error{Code::usage, "group", "4-bit codes need an even number of values per scale"};
  if (cols % 2 != 0) return Error{Code::usage, "cols", "two 4-bit codes share a byte, so rows must be even, not " + std::to_string(cols)};
  const SortedTable table = sorted_table(options.format == FormatId::NF4 ? NF4::kValues : FP4::kValues);
  const std::uint64_t runs = (in.size() + options.group - 1) / options.group;
  ScaleStream scales(options.scale_format, runs);
  SideEncoded out;
  out.data.resize(in.size() / 2);
  const std::size_t padded = (options.group + 3) / 4 * 4;
  std::vector<float> values(padded), weights(padded);
  std::vector<std::uint8_t> places(padded);
  for (std::uint64_t r = 0; r < runs; ++r) {
    const std::uint64_t first = r * options.group;
    const std::size_t count = std::min<std::uint64_t>(options.group, in.size() - first);
    const Group run{values.data(), weights.data(), static_cast<int>((count + 3) / 4 * 4)};
    for (std::size_t i = 0; i < padded; ++i) {
      values[i] = i < count ? in[first + i] : 0.0f;
      weights[i] = i < count ? 1.0f : 0.0f;
    }
    const float unit = unit_of(run);
    float scale = 0;
    if (unit != 0) {
      for (float& value : values) value /= unit;
      scale = scales.rounded(fit_run(table.levels, run, std::fabs(extreme_of(run))) * unit) / unit;
    }
    if (!std::isfinite(scale)) return too_large(options.format, first % cols, "its scales are " + std::string(name_of(options.scale_format)));
    scales.put(r, scale * unit);
    table.levels.codes(run, scale, places.data());
    for (std::size_t i = 0; i < count; i += 2)
      out.data[(first + i) / 2] = std::byte{static_cast<std::uint8_t>(table.codes[places[i]] << 4 | table.codes[places[i + 1]])};
  }
  out.scales = scales.take();
  return out;
}

}  // namespace

bool has_side_scales(FormatId format) {
  switch (format) {
    case FormatId::MLX_Q2: case FormatId::MLX_Q3: case FormatId::MLX_Q4: case FormatId::MLX_Q5: case FormatId::MLX_Q6:
    case FormatId::MLX_Q8: case FormatId::F8_E4M3: case FormatId::F8_E5M2: case FormatId::NF4: case FormatId::FP4:
      return true;
    default: return false;
  }
}

float f8_scale(FormatId format, float largest) { return largest > 0 ? largest / f8_facts(format).largest : 1.0f; }

Result<SideEncoded> encode_matrix(const SideEncodeOptions& options, std::span<const float> in, std::uint64_t rows, std::uint64_t cols) {
  ASSAY_CHECK(in.size() == rows * cols);
  if (options.scale_format != FormatId::F32 && options.scale_format != FormatId::F16 && options.scale_format != FormatId::BF16)
    return Error{Code::usage, std::string(name_of(options.scale_format)), "scales are F32, F16 or BF16"};
  if (const auto at = first_not_finite(in)) {
    Error error = not_finite(in[*at], *at % cols);
    error.subject = "row " + std::to_string(*at / cols) + ", " + error.subject;
    return error;
  }
  switch (options.format) {
    case FormatId::MLX_Q2: return encode_mlx<MLX_Q2>(options, in, cols);
    case FormatId::MLX_Q3: return encode_mlx<MLX_Q3>(options, in, cols);
    case FormatId::MLX_Q4: return encode_mlx<MLX_Q4>(options, in, cols);
    case FormatId::MLX_Q5: return encode_mlx<MLX_Q5>(options, in, cols);
    case FormatId::MLX_Q6: return encode_mlx<MLX_Q6>(options, in, cols);
    case FormatId::MLX_Q8: return encode_mlx<MLX_Q8>(options, in, cols);
    case FormatId::F8_E4M3: case FormatId::F8_E5M2: return encode_f8(options, in, rows, cols);
    case FormatId::NF4: case FormatId::FP4: return encode_four_bit(options, in, cols);
    default:
      return Error{Code::unsupported, std::string(name_of(options.format)), "this format keeps its scales in its own blocks; encode it row by row"};
  }
}

}  // namespace assay
