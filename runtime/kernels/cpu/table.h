// What a CPU kernel sees and does: plain views in, rows of float32 out; one Kernels table per instruction set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/core/cpu.h"
#include "runtime/formats/tensor.h"
#include "runtime/quant/kv_type.h"

namespace assay {

// Integer kernels walk a row in chunks of 256 values (the last one filled up with zeros), scales in groups of 16.
inline constexpr std::uint32_t kChunk = 256;
inline constexpr std::uint32_t kGroupsPerChunk = 16;
// Inputs that one pass of a mat-vec kernel takes.
inline constexpr std::uint32_t kMatvecInputs = 4;
// Weight rows and inputs of a mat-mul tile.
inline constexpr std::uint32_t kTileRows = 32;
inline constexpr std::uint32_t kPanel = 6;
// Tiles that a mat-mul works on together.
inline constexpr std::uint32_t kTilesTogether = 2;

constexpr std::uint32_t chunks_of(std::uint32_t cols) { return (cols + kChunk - 1) / kChunk; }

// A weight matrix as stored. `scales`, `biases`, `group` and `scale_format` as in SideScales (MLX only).
struct WeightRows {
  FormatId format = FormatId::F32;
  std::uint32_t rows = 0, cols = 0;
  const std::byte* data = nullptr;
  std::size_t row_bytes = 0;
  const std::byte* scales = nullptr;
  const std::byte* biases = nullptr;
  std::uint32_t group = 0;
  FormatId scale_format = FormatId::F32;
};
WeightRows weight_rows(const TensorView& tensor);

// 1 to kMatvecInputs input vectors, both as floats and as 8-bit levels: value ~ scale * level, one scale per 32 values, held
// once per 16; `sums` holds scale * (sum of the 16 levels). Whole scales are multiples, at most 127 times, of a unit that each chunk has.
struct Inputs {
  std::uint32_t count = 0;
  std::uint32_t cols = 0;
  const float* values = nullptr;          // [count][cols]
  const std::int8_t* levels = nullptr;    // [count][chunks * 256]
  const float* scales = nullptr;          // [count][chunks * 16]
  const float* sums = nullptr;            // [count][chunks * 16]
};

// Where products go: data[input * stride + row], assigned or added.
struct Outputs {
  float* data = nullptr;
  std::size_t stride = 0;
  bool add = false;
};

// How inputs lie packed for a mat-mul: panels of kPanel inputs, inputs innermost.
enum class Packing : std::uint8_t {
  none,
  levels32,  // LevelPanel, an input scale for 32 values
  levels64,  // LevelPanel, an input scale for 64 values: less work, for weights below eight bits in blocks of 256, NVFP4 and MLX; without sums
  signed32,  // the same two with signed levels
  signed64,
  words32,   // WordPanel, an input scale for 32 values
  floats,    // FloatPanel
  bfloats,   // BfloatPanel
};
constexpr bool has_signed_bytes(Packing packing) { return packing == Packing::signed32 || packing == Packing::signed64; }
constexpr bool has_byte_levels(Packing packing) { return packing == Packing::levels32 || packing == Packing::levels64 || has_signed_bytes(packing); }
constexpr bool has_sums(Packing packing) { return packing != Packing::levels64; }   // for weights with offsets
constexpr bool has_pairs(Packing packing) { return packing == Packing::signed64; }  // for weights with whole ones
constexpr std::uint32_t input_group_of(Packing packing) { return packing == Packing::levels64 || packing == Packing::signed64 ? 64 : 32; }
// One chunk of one panel: value ~ level * scales[k / 32].
struct alignas(64) LevelPanel {
  std::uint8_t levels[kChunk / 4][kPanel][4];    // level + 128, or has_signed_bytes(): level
  float scales[kChunk / 32][kPanel];
  float sums[kChunk / 32][kPanel];               // scale * (sum of 32 levels)
  float pair_scales[8];                          // of the pairs, kPanel of them
  std::int16_t pairs32[kChunk / 64][kPanel][2];  // sums of 32 values in 16 bits, for 16-bit multiply-adds
  std::int16_t pairs16[kChunk / 32][kPanel][2];  // the same of 16 values
  std::byte padding[64];
};
struct alignas(64) WordPanel {
  std::int16_t levels[kChunk / 2][kPanel][2];
  float scales[kChunk / 32][kPanel];
  float sums[kChunk / 32][kPanel];
};
struct alignas(64) FloatPanel {
  float values[kChunk][kPanel];
};
struct alignas(64) BfloatPanel {
  std::uint16_t values[kChunk / 2][kPanel][2];
};
static_assert(sizeof(LevelPanel) % 64 == 0 && sizeof(WordPanel) % 64 == 0 && sizeof(FloatPanel) % 64 == 0 && sizeof(BfloatPanel) % 64 == 0);

constexpr std::uint32_t panels_of(std::uint32_t count) { return (count + kPanel - 1) / kPanel; }
constexpr std::size_t panel_bytes(Packing packing) {
  switch (packing) {
    case Packing::words32: return sizeof(WordPanel);
    case Packing::floats: return sizeof(FloatPanel);
    case Packing::bfloats: return sizeof(BfloatPanel);
    default: return sizeof(LevelPanel);
  }
}
struct PackedInputs {
  Packing packing = Packing::none;
  std::uint32_t count = 0;            // inputs
  std::uint32_t cols = 0;             // values of each
  std::byte* panels = nullptr;        // [chunk][panel]

  template <class Panel>
  Panel* panel(std::uint32_t chunk, std::uint32_t index) const {
    return reinterpret_cast<Panel*>(panels) + std::size_t{chunk} * panels_of(count) + index;
  }
  std::size_t bytes() const { return panel_bytes(packing) * chunks_of(cols) * panels_of(count); }
};

// Rows [begin, end) of the weights times every input.
using MatvecKernel = void (*)(const WeightRows&, const Inputs&, std::uint32_t begin, std::uint32_t end, const Outputs&);
// The same for many inputs; `begin` is a multiple of kTileRows. `scratch` holds scratch_floats(inputs.count) floats, 64-byte aligned.
using MatmulKernel = void (*)(const WeightRows&, const PackedInputs&, std::uint32_t begin, std::uint32_t end, float* scratch, const Outputs&);
constexpr std::size_t matmul_scratch_floats(std::uint32_t inputs) { return std::size_t{panels_of(inputs)} * kPanel * kTileRows * kTilesTogether; }

// One row to float32, equal to dequantize_row() bit for bit. Many rows: dequantize_rows.h.
using DequantizeKernel = void (*)(const WeightRows&, std::uint32_t row, float* out);

struct FormatKernels {
  MatvecKernel matvec = nullptr;        // nullptr: the format has no kernel of its own, dequantise first
  bool takes_levels = false;            // matvec reads levels, not values
  bool takes_whole_scales = false;      // of levels; other matvecs take whole ones, too
  MatmulKernel matmul = nullptr;        // nullptr: use matvec
  Packing packing = Packing::none;
  DequantizeKernel dequantize = nullptr;
  // Stores past the caches: `out` 64-byte aligned, a multiple of 16 columns, a store fence before others read it.
  DequantizeKernel dequantize_streaming = nullptr;
};

// One query row against the cache of its key-value head.
struct AttentionRow {
  const float* query = nullptr;  // [head_dim]
  float* out = nullptr;          // [value_dim]
  std::uint32_t visible = 0;     // positions first .. visible - 1
  std::uint32_t first = 0;       // at most KvView::positions before `visible`
  float sink = kNoSink;          // a score that takes part in the softmax and brings no value
  static constexpr float kNoSink = -1e30f;
};
// What becomes of query . key: soft_cap * tanh(scale * x / soft_cap), or scale * x where soft_cap is 0.
struct ScoreRule {
  float scale = 1;
  float soft_cap = 0;
};
inline constexpr std::uint32_t kAttentionRows = 8;        // rows one call takes at most
inline constexpr std::uint32_t kAttentionManyRows = 48;  // of attend_many
inline constexpr std::uint32_t kMaxHeadDim = 576;         // of a query, key or value
inline constexpr std::uint32_t kKeyBlock = 16;            // positions whose keys lie side by side
// Keys [position / 16][head_dim][16], values [position][padded_dim]. 8-bit levels have scales, F16, one for kKvGroup values of a
// position: [position / 16][group][16], the same for keys and values. A window's cache is a ring: position p lies at p % positions.
struct KvView {
  KvType type = KvType::f16;
  std::uint32_t head_dim = 0;
  std::uint32_t padded_dim = 0;  // value_dim up to a multiple of 16
  void* keys = nullptr;
  void* values = nullptr;
  std::uint16_t* key_scales = nullptr;    // q8_0 only
  std::uint16_t* value_scales = nullptr;
  std::uint32_t value_dim = head_dim;
  std::uint32_t positions = kUnbounded;  // that there is room for, a multiple of kKeyBlock
  static constexpr std::uint32_t kUnbounded = 0xfffffff0;
  const void* next_keys = nullptr;  // of the head that is attended to after this one, of the same shape, or none: fetched meanwhile
};
constexpr std::uint32_t padded_dim_of(std::uint32_t head_dim) { return (head_dim + 15) / 16 * 16; }

struct Kernels {
  std::string_view name;
  IsaSet needs = 0;
  std::array<FormatKernels, static_cast<std::size_t>(FormatId::kCount)> formats{};

  // Quantises one vector of `cols` floats to levels, scales and sums as in Inputs.
  void (*quantize)(const float* values, std::uint32_t cols, bool whole_scales, std::int8_t* levels, float* scales, float* sums) = nullptr;
  // Packs all chunks of panel `panel`; `values` is [packed.count][packed.cols].
  void (*pack)(const float* values, const PackedInputs& packed, std::uint32_t panel) = nullptr;
  // out = values / rms(values) * weight
  void (*rms_norm)(const float* values, const float* weight, std::uint32_t count, float epsilon, float* out) = nullptr;
  // out = (values - mean) / deviation * weight + bias; bias may be nullptr
  void (*layer_norm)(const float* values, const float* weight, const float* bias, std::uint32_t count, float epsilon, float* out) = nullptr;
  // Turns pairs of one head by their angles: values i and i + pairs, or neighbours 2i and 2i + 1, for which there are 2 * pairs cosines and
  // sines, one for each value: cos, cos and -sin, sin.
  void (*rotate)(float* values, const float* cosines, const float* sines, std::uint32_t pairs, bool neighbours) = nullptr;
  // gate = silu(gate) * up
  void (*gate_up)(float* gate, const float* up, std::size_t count) = nullptr;
  // gate = gelu(gate) * up, GELU in its tanh form; without `up`: gate = gelu(gate)
  void (*gate_up_gelu)(float* gate, const float* up, std::size_t count) = nullptr;
  // gate = g * sigmoid(1.702 g) * (u + 1), g = min(gate, 7), u = up within -7 .. 7
  void (*gate_up_clamped)(float* gate, const float* up, std::size_t count) = nullptr;
  // values = cap * tanh(values / cap)
  void (*soft_cap)(float* values, std::size_t count, float cap) = nullptr;
  // softmax(rule(query . keys)) . values for up to kAttentionRows rows of one key-value head
  void (*attend)(const KvView& kv, const AttentionRow* rows, std::uint32_t count, ScoreRule rule) = nullptr;
  // The same for up to kAttentionManyRows rows and a cache of F16, with queries, keys, values and shares rounded to bfloat16 (8 bits of significand):
  // nullptr where the processor has no multiply-adds of them.
  void (*attend_many)(const KvView& kv, const AttentionRow* rows, std::uint32_t count, ScoreRule rule) = nullptr;
  // One token's key and value of one head into the cache at place `position` (of a ring: already wrapped)
  void (*store_kv)(const float* key, const float* value, std::uint32_t position, const KvView& kv) = nullptr;
};

// The tables compiled in, best first.
std::array<const Kernels*, 6> all_kernels();
// The best table this processor can run, or the named one: nullptr when unknown or not runnable here.
const Kernels* best_kernels();
const Kernels* kernels_named(std::string_view name);
// All names, best first, with commas between them.
std::string kernel_names();

}  // namespace assay
