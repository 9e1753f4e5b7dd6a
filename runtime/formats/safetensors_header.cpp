// The JSON header of a safetensors file, event by event: dtype, shape and data_offsets of every tensor.
#include <array>

#include "runtime/formats/safetensors_parts.h"

namespace assay::safetensors {

namespace {

constexpr std::size_t kMaxAnnotations = 1u << 16;
constexpr std::size_t kMaxRank = 64;  // nothing has more dimensions; a million sizes in one shape are not kept

enum class Field : std::uint8_t { none, dtype, shape, offsets };
constexpr std::array<std::string_view, 4> kFields = {"", "dtype", "shape", "data_offsets"};

Field field_named(std::string_view name) {
  for (std::size_t i = 1; i < kFields.size(); ++i)
    if (kFields[i] == name) return static_cast<Field>(i);
  return Field::none;
}

// Depth 1 holds the tensors and __metadata__, depth 2 their fields, depth 3 the numbers of a shape or of offsets.
class HeaderReader final : public JsonEvents {
 public:
  HeaderReader(Reporter& report, Header& out) : report_(report), out_(out) {}

  bool begin_object() override {
    ++depth_;
    if (depth_ == 2) is_open_ = true;
    return depth_ <= 2 || value(nullptr, depth_ - 1);
  }
  bool end_object() override {
    --depth_;
    if (depth_ != 1 || !is_open_) return true;
    is_open_ = false;
    return is_metadata_ ? true : finish_entry();
  }
  bool begin_array() override {
    ++depth_;
    if (depth_ == 2) return not_an_object();
    if (depth_ == 3 && is_open_ && !is_metadata_ && (field_ == Field::shape || field_ == Field::offsets))
      return take_array();
    return value(nullptr, depth_ - 1);
  }
  bool end_array() override {
    --depth_;
    if (depth_ == 2) is_list_ = false;
    return true;
  }
  bool key(std::string_view text, std::optional<std::size_t> at) override {
    if (depth_ == 1) return start(text, at);
    if (depth_ != 2 || !is_open_) return true;
    if (is_metadata_) return annotation_ = text, true;
    field_ = field_named(text);
    if (field_ == Field::none) return note_unknown(text);
    const bool is_first = !has_[static_cast<std::size_t>(field_)];
    has_[static_cast<std::size_t>(field_)] = true;
    return is_first ||
           wrong("field-duplicate", Code::duplicate, "the entry has " + std::string(text) + " more than once");
  }
  bool string(std::string_view text) override {
    if (depth_ == 2 && is_open_ && is_metadata_) return annotate(text);
    if (depth_ == 2 && is_open_ && field_ == Field::dtype) return set_dtype(text);
    return value(nullptr, depth_);
  }
  bool scalar(const Json& number) override { return value(&number, depth_); }

 private:
  bool wrong(std::string_view rule, Code code, std::string message) {
    is_good_ = false;
    return report_.error({.rule = "safetensors." + std::string(rule),
                          .code = code,
                          .offset = at_,
                          .subject = printable(entry_.name),
                          .message = std::move(message),
                          .advice = "the file is damaged or its writer is at fault: download or save it again"});
  }
  bool wrong_metadata(std::string message) {
    return report_.error({.rule = "safetensors.metadata",
                          .code = Code::type,
                          .offset = at_,
                          .subject = "__metadata__",
                          .message = std::move(message),
                          .advice = "the writer is at fault: save the file again"});
  }
  bool note_unknown(std::string_view field) {
    if (noted_unknown_) return true;
    noted_unknown_ = true;
    return report_.note({.rule = "safetensors.field-unknown",
                         .code = Code::malformed,
                         .offset = at_,
                         .subject = printable(entry_.name),
                         .message = "the entry has an unknown field \"" + printable(field) + "\"",
                         .advice = "ignored"});
  }

  bool start(std::string_view name, std::optional<std::size_t> at) {
    at_ = 8 + at.value_or(0);
    is_metadata_ = name == "__metadata__";
    if (is_metadata_ && std::exchange(has_metadata_, true)) return wrong_metadata("the header has __metadata__ twice");
    if (!is_metadata_ && out_.entries.size() > kMaxTensors) return false;  // told by the caller
    entry_ = Entry{};
    entry_.name = name;
    entry_.at = at_;
    is_good_ = true;
    noted_unknown_ = is_list_ = is_open_ = false;
    field_ = Field::none;
    has_ = {};
    offsets_ = {};
    offset_count_ = 0;
    return true;
  }

  // A value that is no object where one belongs.
  bool not_an_object() {
    if (is_metadata_) return wrong_metadata("must be an object of strings");
    out_.is_complete = false;
    return wrong("field-missing", Code::type, "the entry is not an object");
  }

  // Everything that is neither a dtype's text nor the list of a shape or of offsets; `number` where it is a scalar.
  bool value(const Json* number, int depth) {
    if (depth == 1) return not_an_object();
    if (!is_open_) return true;
    if (is_metadata_)
      return depth != 2 || wrong_metadata("the value of \"" + printable(annotation_) + "\" is not a string");
    if (depth == 3 && is_list_) return take_number(number != nullptr ? number->unsigned_integer() : std::nullopt);
    if (depth != 2) return true;
    switch (field_) {
      case Field::none:
        return true;
      case Field::dtype:
        return wrong("dtype", Code::type, "dtype is not a string");
      case Field::shape:
        return wrong("shape-type", Code::type, "shape is not an array");
      case Field::offsets:
        return wrong("offset-type", Code::type, "data_offsets is not a pair of numbers");
    }
    return true;
  }

  bool annotate(std::string_view text) {
    if (out_.annotations.is_null()) out_.annotations = Json::Object{};
    Json::Object& members = *out_.annotations.object();
    if (members.size() < kMaxAnnotations) members.emplace_back(std::move(annotation_), Json(text));
    annotation_.clear();
    return true;
  }

  bool set_dtype(std::string_view name) {
    const auto format = format_from_safetensors(name);
    if (!format)
      return wrong("dtype", Code::unsupported, "dtype \"" + printable(name) + "\" is not one of the format's");
    entry_.format = *format;
    return true;
  }

  bool take_array() {
    is_list_ = true;
    if (field_ == Field::shape) entry_.shape.clear();
    return true;
  }
  bool take_number(std::optional<std::uint64_t> number) {
    const bool is_shape = field_ == Field::shape;
    if (!number)
      return !is_good_ || wrong(is_shape ? "shape-type" : "offset-type", Code::type,
                                std::string(is_shape ? "shape" : "data_offsets") +
                                    " holds something that is no whole number from 0 up");
    if (!is_shape) {
      if (offset_count_ < 2) offsets_[offset_count_] = *number;
      ++offset_count_;
      return true;
    }
    if (entry_.shape.size() < kMaxRank) return entry_.shape.push_back(*number), true;
    return !is_good_ || wrong("shape-type", Code::range, "the shape has more than 64 dimensions");
  }

  bool finish_entry() {
    bool goes_on = check_fields();
    if (goes_on && is_good_) goes_on = check_offsets() && (!is_good_ || check_size());
    out_.is_complete = out_.is_complete && is_good_;
    entry_.is_good = is_good_;
    out_.entries.push_back(std::move(entry_));
    return goes_on;
  }
  bool check_fields() {
    for (std::size_t i = 1; i < kFields.size(); ++i)
      if (!has_[i]) return wrong("field-missing", Code::missing, "the entry has no " + std::string(kFields[i]));
    return true;
  }
  bool check_offsets() {
    if (offset_count_ != 2) return wrong("offset-type", Code::type, "data_offsets is not a pair of numbers");
    entry_.begin = offsets_[0];
    entry_.end = offsets_[1];
    if (entry_.begin <= entry_.end) return true;
    return wrong(
        "offset-order", Code::malformed,
        "data_offsets end at " + std::to_string(entry_.end) + " before they begin at " + std::to_string(entry_.begin));
  }
  // The reference multiplies the sizes in order and refuses an overflow even where a later size is 0.
  bool check_size() {
    std::uint64_t values = 1;
    for (const std::uint64_t size : entry_.shape) {
      const auto product = checked_multiply(values, size);
      if (!product) return wrong("shape-overflow", Code::range, "the shape has more values than fit into 64 bits");
      values = *product;
    }
    const DtypeRow& type = dtype_of(entry_.format);
    if (values % type.block_values != 0)
      return wrong("shape-size", Code::shape,
                   std::to_string(values) + " values of " + std::string(type.name) + " do not end on a byte");
    const auto bytes = checked_multiply(values / type.block_values, type.block_bytes);
    if (!bytes) return wrong("shape-overflow", Code::range, "the shape takes more bytes than fit into 64 bits");
    if (*bytes == entry_.end - entry_.begin) return true;
    return wrong("shape-size", Code::shape,
                 "dtype and shape take " + std::to_string(*bytes) + " bytes, data_offsets span " +
                     std::to_string(entry_.end - entry_.begin));
  }

  Reporter& report_;
  Header& out_;
  int depth_ = 0;
  Entry entry_;  // being read
  std::uint64_t at_ = 8;
  bool is_open_ = false, is_metadata_ = false, has_metadata_ = false, is_list_ = false;
  bool is_good_ = true, noted_unknown_ = false;
  Field field_ = Field::none;
  std::array<bool, 4> has_{};
  std::array<std::uint64_t, 2> offsets_{};
  std::size_t offset_count_ = 0;
  std::string annotation_;  // its key
};

}  // namespace

Result<> read_entries(std::string_view header, Reporter& report, Header& out) {
  HeaderReader reader(report, out);
  auto read = read_json(header, reader);
  if (!read && read.error().code == Code::interrupted) return success();  // the reader had enough, and said why
  return read;
}

}  // namespace assay::safetensors
