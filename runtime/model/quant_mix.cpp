// The mixes as tables: one row per name, one rule per kind of matrix. Facts: llama.cpp, src/llama-quant.cpp (June 2026).
#include "runtime/model/quant_mix.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace assay {
namespace {

enum class Kind : std::uint8_t { embedding, output, value, key, attention_out, down, other };

// Layers where a rule gives `there` instead of `elsewhere`.
enum class Where : std::uint8_t {
  nowhere,
  everywhere,
  more_bits,        // the first and last eighth and every third layer between
  first_two,
  first_four,
  first_eighth,
  first_sixteenth,
  wide_groups       // every layer of a model with at least four query heads per key/value head
};

constexpr FormatId kBase = FormatId::kCount;  // "the mix's own format"

struct Rule {
  Where where = Where::nowhere;
  FormatId there = kBase;
  FormatId elsewhere = kBase;
};

struct Row {
  std::string_view name;
  FormatId base;
  std::uint32_t file_type;
  Rule value, down, attention_out;
  bool lifts_output_of_8_experts = false;  // attention output to Q5_K in models of eight experts
};

using enum FormatId;
constexpr std::array kRows = {
    Row{"F32", F32, 0, {}, {}, {}},
    Row{"F16", F16, 1, {}, {}, {}},
    Row{"BF16", BF16, 32, {}, {}, {}},
    Row{"Q8_0", Q8_0, 7, {}, {}, {}},
    Row{"Q6_K", Q6_K, 18, {}, {}, {}},
    Row{"Q5_K_M", Q5_K, 17, {Where::more_bits, Q6_K}, {Where::more_bits, Q6_K}, {}},
    Row{"Q5_K_S", Q5_K, 16, {}, {}, {}},
    Row{"Q5_1", Q5_1, 9, {}, {}, {}},
    Row{"Q5_0", Q5_0, 8, {}, {}, {}},
    Row{"Q4_K_M", Q4_K, 15, {Where::more_bits, Q6_K}, {Where::more_bits, Q6_K}, {}, true},
    Row{"Q4_K_S", Q4_K, 14, {Where::first_four, Q5_K}, {Where::first_eighth, Q5_K}, {}, true},
    Row{"Q4_1", Q4_1, 3, {}, {}, {}},
    Row{"Q4_0", Q4_0, 2, {}, {}, {}},
    Row{"IQ4_NL", IQ4_NL, 25, {Where::wide_groups, Q5_K}, {Where::first_eighth, Q5_K}, {}, true},
    Row{"IQ4_XS", IQ4_XS, 30, {Where::wide_groups, Q5_K}, {Where::first_eighth, Q5_K}, {}, true},
    Row{"MXFP4", MXFP4, 38, {}, {}, {}},
    Row{"MXFP4_MOE", MXFP4, 38, {}, {}, {}},
    Row{"Q3_K_L", Q3_K, 13, {Where::everywhere, Q5_K}, {Where::everywhere, Q5_K}, {Where::everywhere, Q5_K}},
    Row{"Q3_K_M", Q3_K, 12, {Where::first_two, Q5_K, Q4_K}, {Where::first_sixteenth, Q5_K, Q4_K}, {Where::everywhere, Q4_K}, true},
    Row{"Q3_K_S", Q3_K, 11, {}, {}, {}, true},
    Row{"Q2_K", Q2_K, 10, {Where::wide_groups, Q4_K, Q3_K}, {Where::everywhere, Q3_K}, {Where::everywhere, Q3_K}, true},
    Row{"Q2_K_S", Q2_K, 21, {Where::wide_groups, Q4_K}, {Where::first_eighth, Q4_K}, {}},
};

constexpr std::array<std::array<std::string_view, 2>, 3> kAliases = {{{"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}}};

// Parts of names of matrices that stay as they are: norms, routers, convolutions, positions and other small helpers.
constexpr std::array<std::string_view, 18> kLeftAlone = {
    "_norm.weight", "ffn_gate_inp.weight", "altup",         "laurel",       "per_layer_model_proj",  "ssm_conv1d",
    "shortconv.conv.weight", "attn_rel_b.weight", ".position_embd", ".patch_embd", ".patch_merger",   ".rel_pos",
    "time_mix_first.weight", "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_decay_w1.weight", "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight"};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

const Row* find_row(std::string_view name) {
  const auto row = std::ranges::find(kRows, name, &Row::name);
  return row == kRows.end() ? nullptr : &*row;
}

Kind kind_of(std::string_view name) {
  if (name == "output.weight") return Kind::output;
  if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") return Kind::embedding;
  if (contains(name, "attn_qkv.weight") || contains(name, "attn_kv_b.weight") || contains(name, "attn_v.weight")) return Kind::value;
  if (contains(name, "attn_k.weight")) return Kind::key;
  if (contains(name, "attn_output.weight")) return Kind::attention_out;
  if (contains(name, "ffn_down")) return Kind::down;
  return Kind::other;
}

// The number after "blk."; 0 where there is none.
std::uint32_t layer_of(std::string_view name) {
  std::uint32_t layer = 0;
  if (const auto at = name.find("blk."); at != std::string_view::npos) {
    const std::string_view digits = name.substr(at + 4);
    std::from_chars(digits.data(), digits.data() + digits.size(), layer);
  }
  return layer;
}

bool applies(Where where, std::uint32_t layer, const MixModel& model) {
  const std::uint32_t eighth = model.layers / 8;
  switch (where) {
    case Where::nowhere: return false;
    case Where::everywhere: return true;
    case Where::more_bits:
      return layer < eighth || layer >= std::uint64_t{7} * model.layers / 8 || (layer - eighth) % 3 == 2;
    case Where::first_two: return layer < 2;
    case Where::first_four: return layer < 4;
    case Where::first_eighth: return layer < eighth;
    case Where::first_sixteenth: return layer < model.layers / 16;
    case Where::wide_groups: return model.kv_heads > 0 && model.heads / model.kv_heads >= 4;
  }
  return false;
}

FormatId resolve(const Rule& rule, std::uint32_t layer, const MixModel& model, FormatId base) {
  const FormatId answer = applies(rule.where, layer, model) ? rule.there : rule.elsewhere;
  return answer == kBase ? base : answer;
}

// Llama-2-70B and its like: eight query heads share one value head, so more bits there cost next to nothing.
bool is_70b(const MixModel& model) { return model.architecture == "llama" && model.layers == 80 && model.heads != model.kv_heads; }

FormatId output_format(FormatId base, std::uint64_t cols) {
  if (cols % dtype_of(base).block_values != 0) return Q8_0;
  return base == Q8_0 ? Q8_0 : Q6_K;
}

FormatId value_format(const Row& row, const MixModel& model, std::uint32_t layer) {
  if (model.experts == 8) return Q8_0;
  const FormatId format = resolve(row.value, layer, model, row.base);
  if (is_70b(model) && (format == Q3_K || format == Q4_K)) return Q5_K;
  return format;
}

FormatId placed(const Row& row, const MixModel& model, const MixTensor& tensor) {
  const Kind kind = kind_of(tensor.name);
  const bool is_head = kind == Kind::output || (kind == Kind::embedding && model.is_tied);
  if (row.name == "MXFP4_MOE") return !is_head && tensor.shape.size() > 2 ? MXFP4 : Q8_0;
  if (is_head) return output_format(row.base, tensor.shape.back());
  const std::uint32_t layer = layer_of(tensor.name);
  switch (kind) {
    case Kind::value: return value_format(row, model, layer);
    case Kind::key: return model.experts == 8 ? Q8_0 : row.base;
    case Kind::down: return resolve(row.down, layer, model, row.base);
    case Kind::attention_out:
      if (model.experts == 8) return row.lifts_output_of_8_experts ? Q5_K : row.base;
      return resolve(row.attention_out, layer, model, row.base);
    default: return row.base;
  }
}

}  // namespace

std::optional<Mix> mix_from_name(std::string_view name, bool pure) {
  std::string upper(name);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string_view wanted = upper;
  for (const auto& [alias, full] : kAliases)
    if (wanted == alias) wanted = full;
  const Row* row = find_row(wanted);
  if (row == nullptr) return std::nullopt;
  return Mix{.name = row->name, .base = row->base, .file_type = row->file_type, .pure = pure};
}

std::vector<std::string_view> mix_names() {
  std::vector<std::string_view> names;
  names.reserve(std::size(kRows));
  for (const Row& row : kRows) names.push_back(row.name);
  return names;
}

std::string_view mix_name_of(std::uint32_t file_type) {
  if (file_type == 38) return "MXFP4_MOE";
  const auto row = std::ranges::find(kRows, file_type, &Row::file_type);
  return row == kRows.end() ? std::string_view() : row->name;
}

bool is_quantizable(std::string_view name, std::span<const std::uint64_t> shape) {
  std::size_t dimensions = shape.size();
  for (std::size_t i = 0; i < shape.size() && shape[i] == 1; ++i) --dimensions;  // leading ones do not make a matrix
  if (dimensions < 2 || !name.ends_with("weight")) return false;
  if (name == "position_embd.weight" || name == "token_types.weight") return false;
  return std::ranges::none_of(kLeftAlone, [&](std::string_view part) { return contains(name, part); });
}

FormatId format_for_cols(FormatId format, std::uint64_t cols) {
  const auto fits = [&](FormatId id) { return cols % dtype_of(id).block_values == 0; };
  if (fits(format)) return format;
  FormatId smaller = F16;
  switch (format) {
    case Q2_K: case Q3_K: case TQ1_0: case TQ2_0: smaller = Q4_0; break;
    case Q4_K: smaller = Q5_0; break;
    case Q5_K: smaller = Q5_1; break;
    case Q6_K: smaller = Q8_0; break;
    case IQ1_S: case IQ1_M: case IQ2_XXS: case IQ2_XS: case IQ2_S: case IQ3_XXS: case IQ3_S: case IQ4_XS: smaller = IQ4_NL; break;
    default: break;
  }
  return fits(smaller) ? smaller : F16;
}

FormatId mix_format(const Mix& mix, const MixModel& model, const MixTensor& tensor) {
  if (!is_quantizable(tensor.name, tensor.shape)) return tensor.kept;
  const Row* row = find_row(mix.name);
  const bool is_plain = dtype_of(mix.base).block_values == 1;
  const FormatId wanted = mix.pure || is_plain || row == nullptr ? mix.base : placed(*row, model, tensor);
  return format_for_cols(wanted, tensor.shape.back());
}

}  // namespace assay
