// bitsandbytes NF4 and FP4: X.weight (U8), absmax, code table and the JSON in X.weight.quant_state.bitsandbytes__nf4
// become one TensorView; absmax that is itself quantised (nested) is expanded into ModelFile::owned.
#include <array>
#include <cmath>
#include <cstring>

#include "runtime/formats/side_scales.h"

namespace assay::opening {

namespace {

constexpr std::string_view kAdvice = "download the model again, or another precision of it";
constexpr std::string_view kStateMark = ".quant_state.bitsandbytes__";

struct State {
  FormatId format = FormatId::NF4;
  std::uint64_t block = 0;
  std::vector<std::uint64_t> shape;
  std::uint64_t values = 1;
  bool is_nested = false;
  std::uint64_t nested_block = 256;
  double nested_offset = 0;
};

class Join {
 public:
  Join(TensorPool& pool, Reporter& report, TensorView& weight, const TensorView& blob, std::string_view type)
      : pool_(pool), report_(report), weight_(weight), blob_(blob), type_(type) {}

  bool run() {
    if (!read_state() || !check_weight() || !check_table() || !attach_scales()) return !report_.stopped();
    weight_.format = state_.format;
    weight_.shape = state_.shape;
    pool_.take(blob_);
    return true;
  }

 private:
  bool wrong(const TensorView& tensor, std::string_view rule, std::string message) {
    pool_.error(report_, "bitsandbytes." + std::string(rule), tensor, std::move(message), kAdvice);
    return false;
  }

  bool read_state() {
    if (type_ != "nf4" && type_ != "fp4")
      return wrong(blob_, "type", "quantisation \"" + printable(type_) + "\" is not known; nf4 and fp4 are");
    state_.format = type_ == "nf4" ? FormatId::NF4 : FormatId::FP4;
    const auto json = parse_json({reinterpret_cast<const char*>(blob_.data.data()), blob_.data.size()});
    if (!json) return wrong(blob_, "state", "the quantisation state is not valid JSON: " + json.error().detail);
    const auto whole = [&](std::string_view key) {
      const Json* value = json->find(key);
      return value != nullptr ? value->unsigned_integer() : std::nullopt;
    };
    state_.block = whole("blocksize").value_or(0);
    if (state_.block < 2 || state_.block % 2 != 0 || state_.block > 4096)
      return wrong(blob_, "state", "blocksize should be an even number up to 4096");
    const Json* shape = json->find("shape");
    if (shape == nullptr || shape->array() == nullptr || shape->array()->empty())
      return wrong(blob_, "state", "the quantisation state has no shape");
    for (const Json& size : *shape->array()) {
      const auto value = size.unsigned_integer();
      const auto product = value ? checked_multiply(state_.values, *value) : std::nullopt;
      if (!product || *product == 0)
        return wrong(blob_, "state", "the shape in the quantisation state is not one of whole positive numbers");
      state_.values = *product;
      state_.shape.push_back(*value);
    }
    state_.is_nested = json->find("nested_blocksize") != nullptr;
    if (!state_.is_nested) return true;
    state_.nested_block = whole("nested_blocksize").value_or(0);
    const Json* offset = json->find("nested_offset");
    state_.nested_offset = offset != nullptr ? offset->number().value_or(NAN) : NAN;
    if (state_.nested_block == 0 || !std::isfinite(state_.nested_offset))
      return wrong(blob_, "state", "nested_blocksize or nested_offset is wrong");
    return true;
  }

  // Two codes a byte, so rows have an even number of values.
  bool check_weight() {
    if (weight_.format != FormatId::U8)
      return wrong(weight_, "weight",
                   "the packed weight is " + std::string(name_of(weight_.format)) + ", should be U8");
    if (state_.shape.back() % 2 != 0)
      return wrong(weight_, "shape", "rows of " + std::to_string(state_.shape.back()) + " values do not end on a byte");
    if (weight_.data.size() == state_.values / 2) return true;
    return wrong(weight_, "shape",
                 "the shape " + shape_text(state_.shape) + " takes " + std::to_string(state_.values / 2) +
                     " bytes, the tensor has " + std::to_string(weight_.data.size()));
  }

  const TensorView* part(std::string_view suffix, FormatId format, std::uint64_t count) {
    const TensorView* tensor = pool_.find(weight_.name + std::string(suffix));
    if (tensor == nullptr)
      return wrong(weight_, "missing", "there is no " + printable(weight_.name) + std::string(suffix)), nullptr;
    if (tensor->format == format && tensor->data.size() == count * dtype_of(format).block_bytes) return tensor;
    wrong(*tensor, "shape",
          "is " + std::string(name_of(tensor->format)) + " " + shape_text(tensor->shape) + ", should be " +
              std::to_string(count) + " values of " + std::string(name_of(format)));
    return nullptr;
  }

  // The decoder uses the published tables; the file's copy has to be that table as far as its ends and its zero show.
  bool check_table() {
    const TensorView* table = part(".quant_map", FormatId::F32, 16);
    if (table == nullptr) return false;
    const auto at = [&](std::size_t i) { return load<float>(table->data.data() + 4 * i); };
    const bool is_nf4 = at(0) == -1.0f && at(7) == 0.0f && at(15) == 1.0f;
    const bool is_fp4 = at(0) == 0.0f && std::fabs(at(3)) == 1.0f && std::fabs(at(11)) == 1.0f;
    if (state_.format == FormatId::NF4 ? !is_nf4 : !is_fp4)
      return wrong(*table, "table", "the code table is not that of " + std::string(name_of(state_.format)));
    pool_.take(*table);
    return true;
  }

  bool attach_scales() {
    const std::uint64_t blocks = state_.values / state_.block + (state_.values % state_.block != 0);
    const TensorView* absmax = part(".absmax", state_.is_nested ? FormatId::U8 : FormatId::F32, blocks);
    if (absmax == nullptr) return false;
    const std::uint32_t group = static_cast<std::uint32_t>(state_.block);
    if (state_.is_nested && !expand(*absmax, blocks, group)) return false;
    if (!state_.is_nested) weight_.side = {FormatId::F32, absmax->data, {}, group, 1};
    pool_.take(*absmax);
    return true;
  }

  // absmax[i] = nested_quant_map[code i] * nested_absmax[i / nested_block] + nested_offset.
  bool expand(const TensorView& codes, std::uint64_t blocks, std::uint32_t group) {
    const std::uint64_t outer = blocks / state_.nested_block + (blocks % state_.nested_block != 0);
    const TensorView* map = part(".nested_quant_map", FormatId::F32, 256);
    const TensorView* scale = map != nullptr ? part(".nested_absmax", FormatId::F32, outer) : nullptr;
    if (scale == nullptr) return false;
    // As large as the codes in the file, times four.
    AlignedBuffer<std::byte> expanded(blocks * sizeof(float));
    const float offset = static_cast<float>(state_.nested_offset);
    for (std::uint64_t i = 0; i < blocks; ++i) {
      const float level = load<float>(map->data.data() + 4 * static_cast<std::size_t>(codes.data[i]));
      const float product = level * load<float>(scale->data.data() + 4 * (i / state_.nested_block));
      const float value = product + offset;
      std::memcpy(expanded.data() + 4 * i, &value, sizeof value);
    }
    weight_.side = {FormatId::F32, expanded.span(), {}, group, 1};
    pool_.model().owned.push_back(std::move(expanded));
    pool_.take(*map);
    pool_.take(*scale);
    return true;
  }

  TensorPool& pool_;
  Reporter& report_;
  TensorView& weight_;
  const TensorView& blob_;
  std::string_view type_;
  State state_;
};

}  // namespace

bool join_bitsandbytes(TensorPool& pool, Reporter& report) {
  for (const TensorView& tensor : pool.tensors()) {
    const std::size_t mark = tensor.name.find(kStateMark);
    if (mark == std::string::npos) continue;
    TensorView* weight = pool.find(std::string_view(tensor.name).substr(0, mark));
    if (weight == nullptr) {
      if (!pool.error(report, "bitsandbytes.missing", tensor, "there is no weight for this quantisation state",
                      kAdvice))
        return false;
      continue;
    }
    if (!Join(pool, report, *weight, tensor, std::string_view(tensor.name).substr(mark + kStateMark.size())).run())
      return false;
  }
  return true;
}

}  // namespace assay::opening
