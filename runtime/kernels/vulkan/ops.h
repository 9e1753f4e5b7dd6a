// The kernels as calls: which program, which constants, which push constants and how many workgroups. See shaders/op.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "runtime/formats/tensor.h"
#include "runtime/kernels/vulkan/vulkan.h"
#include "runtime/quant/kv_type.h"

namespace assay::vulkan {

// A weight in device memory, in its own format. F64 is held as F32, which is its value.
struct DeviceWeight {
  FormatId format = FormatId::F32;
  std::uint64_t data = 0, scales = 0, biases = 0;  // addresses
  std::uint32_t rows = 0, cols = 0, row_bytes = 0;
  std::uint32_t group = 0, group_rows = 1;
  FormatId side_format = FormatId::F32;
  bool is_aligned = false;  // rows are whole pairs of octets at addresses of 16 bytes
};

// Whether there are shaders for weights of this format.
bool has_kernels(FormatId format);
// Bytes that a weight takes in device memory.
std::uint64_t device_bytes(const TensorView& tensor);
// Copies a weight to the device (it is there after finish_uploads()), or imports it where the device works on the processor's memory
// anyway. Errors: memory, io.
Result<DeviceWeight> load_weight(Memory& memory, const Device& device, const TensorView& tensor);

// Matrices of one format and shape behind a table of their addresses: the experts of a layer, or what each head is multiplied with.
struct DeviceTable {
  DeviceWeight shape;      // the first one
  std::uint64_t table = 0;  // [count] of {weights, scales, biases, bias of each row}: see weights.glsl
  std::uint32_t count = 0;
  bool has_bias = false;
};
// `biases`: addresses of rows of floats, or empty. Errors: as load_weight; unsupported where formats or shapes differ.
Result<DeviceTable> make_table(Memory& memory, std::span<const DeviceWeight> weights, std::span<const std::uint64_t> biases);
// Whether matrices can lie in one table.
bool are_alike(const TensorView& a, const TensorView& b);
Result<DeviceTable> load_table(Memory& memory, const Device& device, std::span<const TensorView* const> tensors, std::span<const std::uint64_t> biases);

// One dispatch, ready to be recorded.
struct Call {
  ProgramId program = 0;
  std::array<std::byte, 128> push{};
  std::uint32_t push_bytes = 0;
  Recording::Groups groups{};
  std::uint64_t weight_bytes = 0;  // that its threads read of weights
  std::uint64_t other_bytes = 0;   // that they read and write of everything else, whichever cache serves it
};

// Rows of floats: token t starts at address + 4 * t * stride. Strides are multiples of 32; what lies between the columns and the stride is read, finite and without effect.
struct Rows {
  std::uint64_t address = 0;
  std::uint32_t stride = 0;
  std::uint32_t cols = 0;
};
constexpr std::uint32_t stride_of(std::uint32_t cols) { return (cols + 31) / 32 * 32; }

enum class Multiply : std::uint8_t {
  floats,  // weights and inputs as F32
  halves,  // as F16, added up in F32
  levels,  // weights as stored, inputs as 8-bit levels: quantize() first
  matrices  // as halves, on cooperative matrices
};
std::string_view name_of(Multiply how);  // of its shaders
enum class Element : std::uint32_t { silu_gate, gelu_gate, clamped_silu_gate, silu, gelu, add, scale, soft_cap };

// What a pass tells the kernels about a token.
struct TokenFacts {
  std::uint32_t id = 0, sequence = 0, position = 0, unused = 0;
};
// Query rows for one workgroup of attention: `rows` of them from `first_row` = token * query heads of a kv head.
struct AttentionPiece {
  std::uint32_t first_token = 0, first_row = 0, rows = 0, sequence = 0, position = 0;
  std::uint32_t unused[3] = {};
};

class Ops {
 public:
  // Tokens of a dispatch: what one of its dimensions takes on every device.
  static constexpr std::uint32_t kMostTokens = 65535;
  // `tables`: address of format_tables() in device memory.
  Ops(Device& device, std::uint64_t tables);

  // Rows of a weight by the word at ids + 4 * token * id_stride.
  Call gather(const DeviceWeight& weight, std::uint64_t ids, std::uint32_t id_stride, std::uint32_t count, Rows to, bool add = false);
  // At most kMostColumns inputs.
  static constexpr std::uint32_t kMostColumns = 8;
  Call matvec(const DeviceWeight& weight, Rows from, std::uint32_t count, Rows to, bool add, std::uint64_t bias = 0);
  // Matrices of a table with a part of a token each.
  struct Parts {
    std::uint32_t parts = 0;               // of a token
    std::uint64_t choices = 0;             // what route() wrote: which matrix each part takes; 0: the one of its number
    std::uint32_t from_part = 0, to_part = 0;  // values between two parts of a token
    std::uint32_t rest = 0;                // values behind an input that are copied behind the result
  };
  Call matvec_parts(const DeviceTable& table, const Parts& parts, Rows from, std::uint32_t count, Rows to);
  // The same with two matrices for each choice, whose results are a gate and an up: `to` gets the activation's.
  Call matvec_gated(const DeviceTable& pairs, const Parts& parts, Rows from, std::uint32_t count, Rows to, Element activation);
  // The results of a token's parts, times their weights, added up and added to `to`.
  Call matvec_join(const DeviceTable& table, const Parts& parts, Rows from, std::uint32_t count, Rows to);
  enum class Gating : std::uint32_t { softmax, softmax_of_chosen, sigmoid };
  struct Route {
    std::uint32_t experts = 0, used = 0;
    Gating gating = Gating::softmax;
    bool divides = false;  // the chosen weights are made to sum to 1
    float scale = 1;       // of weights
    std::uint64_t correction = 0;  // of each expert, for the choice alone
    std::uint32_t groups = 1, used_groups = 1;
    bool counts_best_two = false;  // of a group
  };
  static constexpr std::uint32_t kChoiceBytes = 8;  // of a token's part: matrix and weight
  Call route(const Route& route, Rows logits, std::uint64_t choices, std::uint32_t count);
  // `facts`: what quantize() wrote beside the levels, for Multiply::levels.
  Call matmul(Multiply how, const DeviceWeight& weight, Rows from, std::uint64_t facts, std::uint32_t count, Rows to, bool add, std::uint64_t bias = 0);
  bool can_multiply(Multiply how, FormatId format) const;
  Call quantize(Rows from, std::uint32_t count, std::uint64_t levels, std::uint64_t facts);

  struct Norm {
    bool is_layer_norm = false;
    std::uint64_t weight = 0, bias = 0;
    std::uint32_t heads = 1, head_stride = 0, cols = 0;
    float epsilon = 0;
  };
  Call norm(const Norm& norm, Rows from, Rows to, std::uint32_t count);
  struct Rope {
    std::uint32_t heads, head_dim, first, pairs;
    bool adjacent;
  };
  Call rope(const Rope& rope, Rows rows, std::uint64_t angles, std::uint32_t count);
  Call elements(Element kind, Rows to, Rows from, float factor, std::uint32_t count);
  // The index of each row's largest value, the lowest one among equals: words at `to`.
  Call argmax(Rows rows, std::uint64_t to, std::uint32_t count);
  Call keep_rows(Rows from, Rows to, std::uint64_t rows, std::uint32_t kept);

  struct Cache {
    std::uint64_t keys, values, key_scales, value_scales;  // of one layer
    std::uint32_t kv_heads, positions;  // as many positions as a sequence needs at once: the next one takes the oldest one's place
    KvType type;
  };
  // `rope`: what rotates keys on the way, with its angles; or nullptr.
  Call store_kv(const Cache& cache, bool values, Rows from, std::uint32_t dim, std::uint64_t tokens, std::uint32_t count, const Rope* rope = nullptr, std::uint64_t angles = 0);
  struct Attention {
    std::uint32_t heads, dim, value_dim, value_stride, window;  // value_stride: between cached values, which may be parts of keys
    float scale, soft_cap;
    std::uint64_t sinks, pieces;
    std::uint32_t piece_count, splits;
  };
  static constexpr std::uint32_t kAttentionRows = 4;
  // With one split, results go to `to`; with more, to `parts` for attend_join.
  Call attend(const Attention& attention, const Cache& cache, Rows query, Rows to, std::uint64_t parts);
  Call attend_join(const Attention& attention, std::uint64_t parts, Rows to, std::uint32_t count);

 private:
  enum class TableUse : std::uint32_t { each = 1, joined, gated };  // as matvec.glsl counts
  Call matvec_table(const DeviceTable& table, const Parts& parts, Rows from, std::uint32_t count, Rows to, TableUse use, std::uint32_t gate = 0);

  Device& device_;
  std::uint64_t tables_;
};

// "matvec.q4_k"
std::string shader_name(std::string_view op, FormatId format);

}  // namespace assay::vulkan
