// Calls: the push constants of shaders/weights.glsl and shaders/op mirrored, and how work is cut into workgroups.
#include "runtime/kernels/vulkan/ops.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/core/assert.h"

namespace assay::vulkan {

namespace {

constexpr std::uint32_t kMostGroups = Ops::kMostTokens;
constexpr std::uint32_t kTile = 64;  // of matmul.glsl
constexpr std::uint32_t kElementThreads = 64;

struct WeightPush {
  std::uint64_t weights, scales, biases, tables, from, to, extra, bias;
  std::uint32_t rows, cols, row_bytes, group, group_rows, count, from_stride, to_stride;
  std::uint32_t parts = 0, from_part = 0, to_part = 0, rest = 0;  // of tables
};

constexpr std::uint32_t divide_up(std::uint32_t a, std::uint32_t b) { return (a + b - 1) / b; }

template <class Push>
Call call(ProgramId program, const Push& push, Recording::Groups groups) {
  static_assert(sizeof(Push) <= 128);
  Call made;
  made.program = program;
  made.push_bytes = sizeof(Push);
  made.groups = groups;
  std::memcpy(made.push.data(), &push, sizeof(Push));
  return made;
}

std::uint32_t side_constant(FormatId format) {
  switch (format) {
    case FormatId::F16: return 1;
    case FormatId::BF16: return 2;
    case FormatId::F8_E8M0: return 3;
    default: return 0;
  }
}

WeightPush push_of(const DeviceWeight& w, std::uint64_t tables, Rows from, Rows to, std::uint32_t count) {
  return {w.data, w.scales, w.biases, tables, from.address, to.address, 0, 0, w.rows, w.cols, w.row_bytes, w.group, w.group_rows, count, from.stride, to.stride};
}

// The constants that weights.glsl takes, behind an op's own.
template <std::size_t Own>
std::array<Constant, Own + 3> constants_of(const DeviceWeight& w, const std::array<Constant, Own>& own) {
  std::array<Constant, Own + 3> all;
  std::copy(own.begin(), own.end(), all.begin());
  all[Own] = {10, side_constant(w.side_format)};
  all[Own + 1] = {11, w.scales != 0};
  all[Own + 2] = {12, w.is_aligned};
  return all;
}

// All of a weight, side streams included.
std::uint64_t weight_bytes(const DeviceWeight& w) {
  const std::uint64_t side = w.scales == 0 || w.group == 0 ? 0 : std::uint64_t{w.rows} * w.cols / w.group * dtype_of(w.side_format).block_bytes * (w.biases == 0 ? 1 : 2);
  return std::uint64_t{w.rows} * w.row_bytes + side;
}

// How a mat-vec is cut. A processor's software device runs a workgroup's subgroups one after another: one subgroup with more rows is
// best there; elsewhere two subgroups and two rows, from published experience with other GPUs' mat-vecs.
struct MatvecShape {
  std::uint32_t threads, rows;
};
MatvecShape matvec_shape(const DeviceFacts& facts, const DeviceWeight& weight, std::uint32_t columns) {
  if (facts.kind == DeviceKind::cpu) return {facts.subgroup_size, columns > 4 ? 2u : 4u};
  const std::uint32_t threads = std::clamp(std::bit_ceil(divide_up(weight.cols, 16)), 32u, 128u);
  return {threads, columns > 4 ? 1u : 2u};
}

// What a mat-vec does, as its shader's constants say it.
struct MatvecKind {
  std::uint32_t columns = 1;
  bool adds = false;
  std::uint32_t table = 0;
  bool is_chosen = false;
  std::uint32_t gate = 0;
};
std::array<Constant, 11> matvec_constants(const DeviceFacts& facts, const DeviceWeight& weight, const MatvecShape& shape, const MatvecKind& kind) {
  return constants_of<8>(weight, {{{0, shape.threads}, {1, kind.columns}, {2, shape.rows}, {3, kind.adds}, {4, divide_up(shape.threads, facts.min_subgroup_size)}, {5, kind.table}, {6, kind.is_chosen}, {7, kind.gate}}});
}

}  // namespace

std::string_view name_of(Multiply how) {
  constexpr std::string_view kNames[] = {"matmul", "matmul_half", "matmul_int", "matmul_coop"};
  return kNames[static_cast<std::size_t>(how)];
}

std::string shader_name(std::string_view op, FormatId format) {
  std::string name(op);
  name += '.';
  for (const char c : name_of(format)) name += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return name;
}

Ops::Ops(Device& device, std::uint64_t tables) : device_(device), tables_(tables) {}

Call Ops::gather(const DeviceWeight& weight, std::uint64_t ids, std::uint32_t id_stride, std::uint32_t count, Rows to, bool add) {
  const auto constants = constants_of<1>(weight, {{{3, add}}});
  const WeightPush push = push_of(weight, tables_, {ids, id_stride, 0}, to, count);
  return call(device_.program(shader_name("gather", weight.format), constants), push, {divide_up(divide_up(weight.cols, 8), kElementThreads), count, 1});
}

Call Ops::matvec(const DeviceWeight& weight, Rows from, std::uint32_t count, Rows to, bool add, std::uint64_t bias) {
  ASSAY_CHECK(count >= 1 && count <= kMostColumns);
  const MatvecShape shape = matvec_shape(device_.facts(), weight, count);
  const auto constants = matvec_constants(device_.facts(), weight, shape, {count, add});
  WeightPush push = push_of(weight, tables_, from, to, count);
  push.bias = bias;
  const std::uint32_t groups = divide_up(weight.rows, shape.rows), y = divide_up(groups, kMostGroups);
  Call made = call(device_.program(shader_name("matvec", weight.format), constants), push, {divide_up(groups, y), y, 1});
  made.weight_bytes = weight_bytes(weight);
  made.other_bytes = std::uint64_t{4} * count * (std::uint64_t{groups} * weight.cols + weight.rows * (add ? 2 : 1));
  return made;
}

Call Ops::matvec_table(const DeviceTable& table, const Parts& parts, Rows from, std::uint32_t count, Rows to, TableUse use, std::uint32_t gate) {
  const DeviceWeight& weight = table.shape;
  const bool joins = use == TableUse::joined;
  const MatvecShape shape = matvec_shape(device_.facts(), weight, 1);
  const auto constants = matvec_constants(device_.facts(), weight, shape, {1, joins, static_cast<std::uint32_t>(use), parts.choices != 0, gate});
  WeightPush push = push_of(weight, tables_, from, to, count);
  push.weights = table.table;
  push.extra = parts.choices;
  push.bias = table.has_bias;
  push.parts = parts.parts;
  push.from_part = parts.from_part;
  push.to_part = parts.to_part;
  push.rest = parts.rest;
  const std::uint32_t groups = divide_up(weight.rows, shape.rows), matrices = count * parts.parts;
  ASSAY_CHECK(groups <= kMostGroups);
  Call made = call(device_.program(shader_name("matvec", weight.format), constants), push, {groups, count, joins ? 1 : parts.parts});
  const std::uint64_t each = use == TableUse::gated ? 2 : 1;
  made.weight_bytes = each * matrices * weight_bytes(weight);
  made.other_bytes = std::uint64_t{4} * (each * matrices * groups * weight.cols + weight.rows * (joins ? 2 * count : matrices));
  return made;
}

Call Ops::matvec_parts(const DeviceTable& table, const Parts& parts, Rows from, std::uint32_t count, Rows to) { return matvec_table(table, parts, from, count, to, TableUse::each); }
Call Ops::matvec_gated(const DeviceTable& pairs, const Parts& parts, Rows from, std::uint32_t count, Rows to, Element activation) {
  return matvec_table(pairs, parts, from, count, to, TableUse::gated, static_cast<std::uint32_t>(activation));
}
Call Ops::matvec_join(const DeviceTable& table, const Parts& parts, Rows from, std::uint32_t count, Rows to) { return matvec_table(table, parts, from, count, to, TableUse::joined); }

Call Ops::route(const Route& route, Rows logits, std::uint64_t choices, std::uint32_t count) {
  const struct {
    std::uint64_t logits, choices, correction;
    std::uint32_t stride, used;
    float scale;
    std::uint32_t used_groups;
  } push{logits.address, choices, route.correction, logits.stride, route.used, route.scale, route.used_groups};
  const std::array<Constant, 5> constants{{{1, route.experts}, {2, static_cast<std::uint32_t>(route.gating)}, {3, route.divides}, {4, route.groups}, {5, route.counts_best_two}}};
  return call(device_.program("route", constants), push, {count, 1, 1});
}

bool Ops::can_multiply(Multiply how, FormatId format) const {
  switch (how) {
    case Multiply::floats: return Device::has_shader(shader_name("matmul", format));
    case Multiply::halves: return device_.facts().has_half && Device::has_shader(shader_name("matmul_half", format));
    case Multiply::levels: return device_.facts().has_integer_dot && Device::has_shader(shader_name("matmul_int", format));
    case Multiply::matrices: return device_.facts().has_cooperative_matrix && Device::has_shader(shader_name("matmul_coop", format));
  }
  return false;
}

Call Ops::matmul(Multiply how, const DeviceWeight& weight, Rows from, std::uint64_t facts, std::uint32_t count, Rows to, bool add, std::uint64_t bias) {
  ASSAY_CHECK(can_multiply(how, weight.format));
  const DeviceFacts& device = device_.facts();
  const bool is_cooperative = how == Multiply::matrices;
  const std::uint32_t products = is_cooperative ? kTile / device.matrix_rows * (kTile / device.matrix_cols) : 0, subgroups = 256 / std::max(1u, device.subgroup_size);
  const auto plain = constants_of<1>(weight, {{{3, add}}});
  const auto cooperative = constants_of<5>(weight, {{{1, device.matrix_rows}, {2, device.matrix_cols}, {4, device.matrix_depth}, {3, add}, {5, divide_up(products, subgroups)}}});
  WeightPush push = push_of(weight, tables_, from, to, count);
  push.extra = facts;
  push.bias = bias;
  const std::string name = shader_name(name_of(how), weight.format);
  const std::span<const Constant> constants = is_cooperative ? std::span<const Constant>(cooperative) : plain;
  const std::uint32_t row_tiles = divide_up(weight.rows, kTile), input_tiles = divide_up(count, kTile);
  Call made = call(device_.program(name, constants), push, {row_tiles, input_tiles, 1});
  made.weight_bytes = weight_bytes(weight) * input_tiles;
  const std::uint64_t input = how == Multiply::levels ? weight.cols + weight.cols / 2 : std::uint64_t{4} * weight.cols;
  made.other_bytes = std::uint64_t{row_tiles} * kTile * input_tiles * input + std::uint64_t{4} * count * weight.rows * (add ? 2 : 1);
  return made;
}

Call Ops::quantize(Rows from, std::uint32_t count, std::uint64_t levels, std::uint64_t facts) {
  const struct {
    std::uint64_t from, levels, facts;
    std::uint32_t stride, cols;
  } push{from.address, levels, facts, from.stride, from.cols};
  return call(device_.program("quantize", {}), push, {divide_up(from.stride / 32, kElementThreads), count, 1});
}

Call Ops::norm(const Norm& norm, Rows from, Rows to, std::uint32_t count) {
  const struct {
    std::uint64_t from, to, weight, bias;
    std::uint32_t from_stride, to_stride, heads, head_stride, cols;
    float epsilon;
  } push{from.address, to.address, norm.weight, norm.bias, from.stride, to.stride, norm.heads, norm.head_stride, norm.cols, norm.epsilon};
  const bool is_software = device_.facts().kind == DeviceKind::cpu;
  const std::uint32_t threads = is_software ? device_.facts().subgroup_size : std::clamp(std::bit_ceil(norm.cols / 4), 32u, 256u);
  const std::array<Constant, 2> constants{{{0, threads}, {1, norm.is_layer_norm}}};
  return call(device_.program("norm", constants), push, {count * norm.heads, 1, 1});
}

namespace {

// Of the two values of a pair; between pairs.
std::uint32_t apart_of(const Ops::Rope& rope) { return rope.adjacent ? 1 : rope.pairs; }
std::uint32_t step_of(const Ops::Rope& rope) { return rope.adjacent ? 2 : 1; }

}  // namespace

Call Ops::rope(const Rope& rope, Rows rows, std::uint64_t angles, std::uint32_t count) {
  const struct {
    std::uint64_t rows, angles;
    std::uint32_t stride, heads, head_dim, first, pairs, apart, step;
  } push{rows.address, angles, rows.stride, rope.heads, rope.head_dim, rope.first, rope.pairs, apart_of(rope), step_of(rope)};
  return call(device_.program("rope", {}), push, {divide_up(rope.heads * rope.pairs, kElementThreads), count, 1});
}

Call Ops::elements(Element kind, Rows to, Rows from, float factor, std::uint32_t count) {
  const struct {
    std::uint64_t to, from;
    std::uint32_t to_stride, from_stride, cols;
    float factor;
  } push{to.address, from.address, to.stride, from.stride, to.cols, factor};
  const std::array<Constant, 1> constants{{{1, static_cast<std::uint32_t>(kind)}}};
  return call(device_.program("elements", constants), push, {divide_up(to.cols, kElementThreads), count, 1});
}

Call Ops::argmax(Rows rows, std::uint64_t to, std::uint32_t count) {
  const struct {
    std::uint64_t rows, to;
    std::uint32_t stride, cols;
  } push{rows.address, to, rows.stride, rows.cols};
  return call(device_.program("argmax", {}), push, {count, 1, 1});
}

Call Ops::keep_rows(Rows from, Rows to, std::uint64_t rows, std::uint32_t kept) {
  const struct {
    std::uint64_t from, to, rows;
    std::uint32_t stride, cols;
  } push{from.address, to.address, rows, from.stride, from.cols};
  return call(device_.program("keep_rows", {}), push, {divide_up(from.cols, kElementThreads), kept, 1});
}

Call Ops::store_kv(const Cache& cache, bool values, Rows from, std::uint32_t dim, std::uint64_t tokens, std::uint32_t count, const Rope* rope, std::uint64_t angles) {
  struct {
    std::uint64_t from, cache, scales, tokens;
    std::uint32_t stride, kv_heads, dim, positions;
    std::uint64_t angles = 0;
    std::uint32_t first = 0, pairs = 0, apart = 0, step = 0;
  } push{from.address, values ? cache.values : cache.keys, values ? cache.value_scales : cache.key_scales, tokens, from.stride, cache.kv_heads, dim, cache.positions};
  if (rope != nullptr) {
    push.angles = angles;
    push.first = rope->first;
    push.pairs = rope->pairs;
    push.apart = apart_of(*rope);
    push.step = step_of(*rope);
  }
  const std::array<Constant, 2> constants{{{1, rope != nullptr}, {20, static_cast<std::uint32_t>(cache.type)}}};
  return call(device_.program("store_kv", constants), push, {divide_up(cache.kv_heads * divide_up(dim, 32), kElementThreads), count, 1});
}

Call Ops::attend(const Attention& a, const Cache& cache, Rows query, Rows to, std::uint64_t parts) {
  const struct {
    std::uint64_t query, keys, values, key_scales, value_scales, to, pieces, sinks;
    std::uint32_t query_stride, to_stride, heads, kv_heads, positions, splits, window;
    float scale, soft_cap;
  } push{query.address, cache.keys, cache.values, cache.key_scales, cache.value_scales, a.splits == 1 ? to.address : parts, a.pieces, a.sinks,
         query.stride, to.stride, a.heads, cache.kv_heads, cache.positions, a.splits, a.window, a.scale, a.soft_cap};
  // A tile of keys takes at most 16 KiB of shared memory.
  const std::uint32_t tile = std::clamp(std::bit_floor(4096 / a.dim), 1u, 32u);
  const std::uint32_t threads = std::clamp(std::bit_ceil(kAttentionRows * a.dim / 8), 32u, 128u);  // few results each
  const std::array<Constant, 8> constants{
      {{0, threads}, {1, a.dim}, {2, kAttentionRows}, {3, tile}, {4, divide_up(kAttentionRows * a.value_dim, threads)}, {5, a.value_dim}, {6, a.value_stride}, {20, static_cast<std::uint32_t>(cache.type)}}};
  return call(device_.program("attend", constants), push, {a.piece_count, cache.kv_heads, a.splits});
}

Call Ops::attend_join(const Attention& a, std::uint64_t parts, Rows to, std::uint32_t count) {
  const struct {
    std::uint64_t from, to;
    std::uint32_t to_stride, heads, dim, splits;
  } push{parts, to.address, to.stride, a.heads, a.value_dim, a.splits};
  return call(device_.program("attend_join", {}), push, {a.heads, count, 1});
}

}  // namespace assay::vulkan
