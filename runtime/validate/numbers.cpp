// Sentences for what a scan found.
#include "runtime/validate/numbers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <tuple>

#include "runtime/core/half.h"

namespace assay::validation {

namespace {

constexpr std::string_view kDamaged =
    "the file is damaged or was made with a broken tool: compare its hash, download or convert it again";

// A top exponent bit flipped in an F16 scale multiplies it by 65536; scales of one tensor differ by far less.
constexpr double kAbsurdFactor = 8192;
// Share of a tensor's scales that may be faint before a word is said.
constexpr double kFaintShare = 0.01;

std::string places(const Tally& tally, std::string_view one, std::string_view many) {
  return std::to_string(tally.count) + " " + std::string(tally.count == 1 ? one : many);
}

class TensorReport {
 public:
  TensorReport(Subject& subject, const TensorView& tensor, const Numbers& numbers)
      : subject_(subject), tensor_(tensor), numbers_(numbers) {}

  void run() {
    const std::string_view type = name_of(tensor_.format);
    wrong("numbers.value", numbers_.bad_values,
          places(numbers_.bad_values, "value is", "values are") + " NaN or infinite" + where(numbers_.bad_values),
          kDamaged);
    wrong(
        "numbers.scale", numbers_.bad_scales,
        places(numbers_.bad_scales, "block or group has", "blocks or groups have") + " a scale that is NaN or infinite",
        kDamaged);
    wrong("numbers.e8m0", numbers_.bad_exponents,
          places(numbers_.bad_exponents, "exponent is", "exponents are") + " 255, which E8M0 keeps for NaN", kDamaged);
    wrong("numbers.value.huge", numbers_.huge_values,
          places(numbers_.huge_values, "value is", "values are") + " above 65504, more than F16 holds" +
              where(numbers_.huge_values),
          "no ordinary weight is so large: compare the file's hash, and do not convert it to F16");
    wrong("numbers.block.saturated", numbers_.saturated_blocks,
          places(numbers_.saturated_blocks, "block has", "blocks have") + " every level at an end of " +
              std::string(type) + "'s range: the weights were clipped",
          "quantise the model again");
    report_absurd();
    report_faint();
    report_rows();
  }

 private:
  std::string where(const Tally& tally) const {
    const std::uint64_t element = dtype_of(tensor_.format).block_bytes;
    if (dtype_of(tensor_.format).block_values != 1 || tensor_.row_bytes() == 0) return "";
    return ", the first in row " + std::to_string(tally.first / tensor_.row_bytes()) + ", column " +
           std::to_string(tally.first % tensor_.row_bytes() / element);
  }
  std::string file() const { return subject_.model().files[tensor_.file].path().string(); }

  void wrong(std::string_view rule, const Tally& tally, std::string message, std::string_view advice) {
    if (tally.count > 0)
      subject_.remark(
          {rule, Code::range, tensor_.name, std::move(message), advice, tensor_.offset + tally.first, file()});
  }
  void report_absurd() {
    if (numbers_.scales < 2 || numbers_.bad_scales.count > 0) return;
    const double mean =
        static_cast<double>(numbers_.scale_bits - numbers_.largest_scale) / static_cast<double>(numbers_.scales - 1);
    const double factor = std::exp2((numbers_.largest_scale - mean) / 1024);
    if (factor < kAbsurdFactor) return;
    subject_.remark(
        {"numbers.scale.absurd", Code::range, tensor_.name,
         "one block's scale is " + std::to_string(to_float(Half{numbers_.largest_scale})) + ", " +
             std::to_string(static_cast<std::uint64_t>(factor)) + " times those of the tensor's other blocks",
         "a flipped bit looks like this: compare the file's hash", tensor_.offset + numbers_.largest_scale_at, file()});
  }
  void report_faint() {
    const double share = numbers_.scales == 0
                             ? 0
                             : static_cast<double>(numbers_.faint_scales.count) / static_cast<double>(numbers_.scales);
    if (share <= kFaintShare) return;
    subject_.remark({"numbers.scale.denormal", Code::range, tensor_.name,
                     places(numbers_.faint_scales, "scale is", "scales are") +
                         " so small that F16 keeps fewer than 5 bits of them (" +
                         std::to_string(static_cast<int>(std::lround(100 * share))) + " % of the tensor's)",
                     "the weights there lose precision; a format with other scales keeps it", tensor_.offset, file()});
  }
  void report_rows() {
    const bool is_matrix = tensor_.shape.size() > 1;
    const std::uint64_t row_bytes = tensor_.row_bytes();
    if (numbers_.is_zero()) {
      subject_.remark({"numbers.tensor.zero", Code::range, tensor_.name, "every value is zero",
                       "a weight that is all zero does nothing: the file is unfinished, or the model was never trained",
                       tensor_.offset, file()});
      return;
    }
    if (!is_matrix) return;  // a vector of equal values is an ordinary start for a norm
    if (numbers_.zero_rows.count > 0)
      subject_.remark({"numbers.row.zero", Code::range, tensor_.name,
                       std::to_string(numbers_.zero_rows.count) + " of " + std::to_string(numbers_.rows) +
                           " rows are zero, row " + std::to_string(numbers_.zero_rows.first) + " first",
                       "ordinary for unused tokens and padding; elsewhere something is missing",
                       tensor_.offset + numbers_.zero_rows.first * row_bytes, file()});
    if (numbers_.constant_rows.count > 0)
      subject_.remark({"numbers.row.constant", Code::range, tensor_.name,
                       std::to_string(numbers_.constant_rows.count) + " of " + std::to_string(numbers_.rows) +
                           " rows hold one value throughout, row " + std::to_string(numbers_.constant_rows.first) +
                           " first",
                       "trained weights never do: the file is unfinished or damaged",
                       tensor_.offset + numbers_.constant_rows.first * row_bytes, file()});
  }

  Subject& subject_;
  const TensorView& tensor_;
  const Numbers& numbers_;
};

// Size, type and three samples: equal for equal tensors, and hardly ever for others.
using Fingerprint = std::tuple<FormatId, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t>;

std::uint64_t sample(Bytes bytes, std::uint64_t at) {
  std::uint64_t mixed = 0;
  for (std::uint64_t i = at; i + 8 <= std::min<std::uint64_t>(bytes.size(), at + 64); i += 8)
    mixed = (mixed ^ load<std::uint64_t>(bytes.data() + i)) * 0x9e3779b97f4a7c15u;
  return mixed;
}

Fingerprint fingerprint(const TensorView& tensor) {
  const Bytes data = tensor.data;
  return {tensor.format, data.size(), sample(data, 0), sample(data, data.size() / 2), sample(data, data.size() - 64)};
}

bool is_same(Bytes a, Bytes b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace

void report_numbers(Subject& subject, const std::vector<Numbers>& numbers) {
  for (std::size_t i = 0; i < numbers.size() && !subject.stopped(); ++i)
    TensorReport(subject, subject.model().tensors[i], numbers[i]).run();
}

void report_duplicates(Subject& subject, const std::vector<Numbers>& numbers) {
  const ModelFile& model = subject.model();
  std::map<Fingerprint, const TensorView*> seen;
  for (std::size_t i = 0; i < numbers.size() && !subject.stopped(); ++i) {
    const TensorView& tensor = model.tensors[i];
    // Norms and other vectors may well be alike, and so are weights that hold nothing.
    if (tensor.rows() < 2 || tensor.data.size() < 256 || numbers[i].is_constant()) continue;
    const auto [first, is_new] = seen.emplace(fingerprint(tensor), &tensor);
    if (is_new || !is_same(tensor.data, first->second->data) ||
        !is_same(tensor.side.scales, first->second->side.scales) ||
        !is_same(tensor.side.biases, first->second->side.biases))
      continue;
    subject.remark({"numbers.tensor.duplicate", Code::duplicate, tensor.name,
                    "the tensor holds the same bytes as " + printable(first->second->name),
                    "meant in models put together from copied layers, and for an output that repeats the embedding; "
                    "otherwise its writer wrote one tensor twice",
                    tensor.offset, model.files[tensor.file].path().string()});
  }
}

void report_padding(Subject& subject) {
  const ModelFile& model = subject.model();
  if (model.kind != FileKind::gguf) return;
  std::vector<const TensorView*> order;
  for (const TensorView& tensor : model.tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const TensorView* a, const TensorView* b) {
    return std::tie(a->file, a->offset) < std::tie(b->file, b->offset);
  });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const TensorView& before = *order[i - 1];
    if (before.file != order[i]->file) continue;
    const Bytes file = model.files[before.file].bytes();
    const std::uint64_t end = before.offset + before.data.size();
    for (std::uint64_t at = end; at < order[i]->offset && at < end + 4096; ++at) {
      if (file[at] == std::byte{0}) continue;
      subject.remark({"gguf.padding.nonzero", Code::malformed, "padding",
                      "the padding after " + printable(before.name) + " is not zero",
                      "harmless; the writer should write zeros", at, model.files[before.file].path().string()});
      return;
    }
  }
}

}  // namespace assay::validation
