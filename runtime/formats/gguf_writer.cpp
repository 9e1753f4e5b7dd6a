// GgufWriter: metadata and tensor table into one header, then TensorStream.
#include "runtime/formats/gguf_writer.h"

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <unordered_set>

#include "runtime/formats/gguf.h"
#include "runtime/formats/reporter.h"
#include "runtime/formats/tensor_stream.h"

namespace assay {

namespace {

template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void append_text(std::string& out, std::string_view text) {
  append<std::uint64_t>(out, text.size());
  out += text;
}
void append_bytes(std::string& out, Bytes bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// One value as it stands in a file, without its type.
std::string encode(const MetaEntry& entry) {
  std::string out;
  if (const auto* text = std::get_if<std::string_view>(&entry.value)) {
    append_text(out, *text);
  } else if (const auto* array = std::get_if<MetaArray>(&entry.value)) {
    append(out, static_cast<std::uint32_t>(array->element));
    append(out, array->count);
    append_bytes(out, array->bytes);
  } else if (const auto* truth = std::get_if<bool>(&entry.value)) {
    append(out, static_cast<std::uint8_t>(*truth));
  } else if (const auto* number = std::get_if<double>(&entry.value)) {
    if (entry.type == MetaType::f32)
      append(out, static_cast<float>(*number));
    else
      append(out, *number);
  } else {
    // Little-endian two's complement: the low bytes are the narrower value.
    const auto* positive = std::get_if<std::uint64_t>(&entry.value);
    append(out, positive != nullptr ? *positive : static_cast<std::uint64_t>(std::get<std::int64_t>(entry.value)));
    out.resize(size_of(entry.type));
  }
  return out;
}

}  // namespace

struct GgufWriter::State {
  struct Key {
    std::string name;
    MetaType type;
    std::string value;
  };
  struct Tensor {
    std::string name;
    FormatId format;
    std::vector<std::uint64_t> shape;
    std::uint64_t bytes;
  };
  std::vector<Key> keys;
  std::unordered_map<std::string, std::size_t> key_index;
  std::vector<Tensor> tensors;
  std::unordered_set<std::string> tensor_names;
  std::optional<TensorStream> stream;

  void set(std::string_view key, MetaType type, std::string value) {
    const auto [found, is_new] = key_index.emplace(std::string(key), keys.size());
    if (is_new)
      keys.push_back({std::string(key), type, std::move(value)});
    else
      keys[found->second] = {std::string(key), type, std::move(value)};
  }

  template <class T>
  void set_number(std::string_view key, MetaType type, T value) {
    std::string out;
    append(out, value);
    set(key, type, std::move(out));
  }

  template <class T>
  void set_numbers(std::string_view key, MetaType element, const std::vector<T>& values) {
    std::string out;
    append(out, static_cast<std::uint32_t>(element));
    append<std::uint64_t>(out, values.size());
    append_bytes(out, std::as_bytes(std::span(values)));
    set(key, MetaType::array, std::move(out));
  }

  Result<std::uint64_t> alignment() const {
    const auto found = key_index.find("general.alignment");
    if (found == key_index.end()) return kGgufDefaultAlignment;
    const Key& key = keys[found->second];
    const std::uint64_t value = key.type == MetaType::u32 ? load<std::uint32_t>(as_bytes(key.value).data()) : 0;
    if (std::has_single_bit(value) && value >= 8 && value <= kGgufMaxAlignment) return value;
    return Error{Code::range, key.name,
                 "the alignment should be a u32 and a power of two from 8 to " + std::to_string(kGgufMaxAlignment)};
  }

  Result<std::string> header(std::uint64_t alignment_bytes) const {
    std::string out = "GGUF";
    append<std::uint32_t>(out, 3);
    append<std::uint64_t>(out, tensors.size());
    append<std::uint64_t>(out, keys.size());
    for (const Key& key : keys) {
      if (key.name.empty() || key.name.size() > 65535)
        return Error{Code::usage, printable(key.name), "a key should have 1 to 65535 bytes"};
      append_text(out, key.name);
      append(out, static_cast<std::uint32_t>(key.type));
      out += key.value;
    }
    std::uint64_t offset = 0;
    for (const Tensor& tensor : tensors) {
      append_text(out, tensor.name);
      append(out, static_cast<std::uint32_t>(tensor.shape.size()));
      for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) append(out, *size);
      append(out, static_cast<std::uint32_t>(dtype_of(tensor.format).ggml_id));
      append(out, offset);
      const auto size = padded(tensor.bytes, alignment_bytes);
      const auto end = size ? checked_add(offset, *size) : std::nullopt;
      if (!end) return Error{Code::range, tensor.name, "the file would have more bytes than fit into 64 bits"};
      offset = *end;
    }
    out.resize(*padded(out.size(), alignment_bytes), '\0');
    return out;
  }
};

GgufWriter::GgufWriter() : state_(std::make_unique<State>()) {}
GgufWriter::~GgufWriter() = default;
GgufWriter::GgufWriter(GgufWriter&&) noexcept = default;
GgufWriter& GgufWriter::operator=(GgufWriter&&) noexcept = default;

void GgufWriter::set_u32(std::string_view key, std::uint32_t value) {
  state_->set_number(key, MetaType::u32, value);
}
void GgufWriter::set_u64(std::string_view key, std::uint64_t value) {
  state_->set_number(key, MetaType::u64, value);
}
void GgufWriter::set_i32(std::string_view key, std::int32_t value) {
  state_->set_number(key, MetaType::i32, value);
}
void GgufWriter::set_f32(std::string_view key, float value) {
  state_->set_number(key, MetaType::f32, value);
}
void GgufWriter::set_bool(std::string_view key, bool value) {
  state_->set_number(key, MetaType::boolean, static_cast<std::uint8_t>(value));
}
void GgufWriter::set_i32s(std::string_view key, const std::vector<std::int32_t>& values) {
  state_->set_numbers(key, MetaType::i32, values);
}
void GgufWriter::set_f32s(std::string_view key, const std::vector<float>& values) {
  state_->set_numbers(key, MetaType::f32, values);
}
void GgufWriter::copy(const MetaEntry& entry) {
  state_->set(entry.key, entry.type, encode(entry));
}

void GgufWriter::set_string(std::string_view key, std::string_view value) {
  std::string out;
  append_text(out, value);
  state_->set(key, MetaType::string, std::move(out));
}

void GgufWriter::set_strings(std::string_view key, const std::vector<std::string>& values) {
  std::string out;
  append(out, static_cast<std::uint32_t>(MetaType::string));
  append<std::uint64_t>(out, values.size());
  for (const std::string& value : values) append_text(out, value);
  state_->set(key, MetaType::array, std::move(out));
}

Result<> GgufWriter::add_tensor(std::string_view name, FormatId format, std::vector<std::uint64_t> shape) {
  const std::string subject = printable(name);
  if (state_->stream) return Error{Code::usage, subject, "tensors are added before the file is begun"};
  if (dtype_of(format).ggml_id == kNoGgmlId)
    return Error{Code::unsupported, subject, "GGUF has no type for " + std::string(name_of(format))};
  if (name.empty() || name.size() >= kGgufMaxName)
    return Error{Code::range, subject, "the name has " + std::to_string(name.size()) + " bytes; readers take 1 to 63"};
  const bool is_empty = std::find(shape.begin(), shape.end(), std::uint64_t{0}) != shape.end();
  if (shape.empty() || shape.size() > kGgufMaxDims || is_empty)
    return Error{Code::shape, subject, "GGUF tensors have 1 to 4 dimensions, none of them zero"};
  ASSAY_TRY(const std::uint64_t bytes, bytes_of_tensor(subject, format, shape));
  if (!state_->tensor_names.insert(std::string(name)).second)
    return Error{Code::duplicate, subject, "a tensor of this name was already added"};
  state_->tensors.push_back({std::string(name), format, std::move(shape), bytes});
  return success();
}

Result<> GgufWriter::begin(const std::filesystem::path& path) {
  if (state_->stream) return Error{Code::usage, "", "the file was already begun", path.string()};
  ASSAY_TRY(const std::uint64_t alignment, state_->alignment());
  ASSAY_TRY(const std::string header, state_->header(alignment));
  std::vector<DeclaredTensor> declared;
  for (const State::Tensor& tensor : state_->tensors) declared.push_back({tensor.name, tensor.bytes});
  ASSAY_TRY(state_->stream, TensorStream::begin(path, as_bytes(header), std::move(declared), alignment));
  return success();
}

Result<> GgufWriter::write(Bytes bytes) {
  if (!state_->stream) return Error{Code::usage, "", "the file was not begun"};
  return state_->stream->write(bytes);
}

Result<> GgufWriter::finish() {
  if (!state_->stream) return Error{Code::usage, "", "the file was not begun"};
  return state_->stream->finish();
}

}  // namespace assay
