// SafetensorsWriter: JSON header, then TensorStream; and the shard index.
#include "runtime/formats/safetensors_writer.h"

#include <unordered_set>

#include "runtime/core/json.h"
#include "runtime/formats/reporter.h"
#include "runtime/formats/safetensors.h"
#include "runtime/formats/tensor_stream.h"

namespace assay {

namespace {

constexpr std::uint64_t kHeaderAlignment = 8;

Bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// Any number of values that ends on a byte, whatever the rows.
Result<std::uint64_t> flat_bytes(const std::string& subject, FormatId format, const std::vector<std::uint64_t>& shape) {
  std::uint64_t values = 1;
  for (const std::uint64_t size : shape) {
    const auto product = checked_multiply(values, size);
    if (!product) return Error{Code::range, subject, "the shape has more values than fit into 64 bits"};
    values = *product;
  }
  return bytes_of_tensor(subject, format, {values});
}

}  // namespace

struct SafetensorsWriter::State {
  struct Tensor {
    std::string name;
    FormatId format;
    std::vector<std::uint64_t> shape;
    std::uint64_t bytes;
  };
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<Tensor> tensors;
  std::unordered_set<std::string> names;
  std::optional<TensorStream> stream;

  Result<std::string> header() const {
    Json root{Json::Object{}};
    if (!metadata.empty()) {
      Json texts;
      for (const auto& [key, value] : metadata) texts.set(key, Json(value));
      root.set("__metadata__", std::move(texts));
    }
    std::uint64_t offset = 0;
    for (const Tensor& tensor : tensors) {
      const auto end = checked_add(offset, tensor.bytes);
      if (!end)
        return Error{Code::range, printable(tensor.name), "the file would have more bytes than fit into 64 bits"};
      Json shape{Json::Array{}};
      for (const std::uint64_t size : tensor.shape) shape.push(Json(size));
      Json entry;
      entry.set("dtype", Json(dtype_of(tensor.format).safetensors_name)).set("shape", std::move(shape));
      entry.set("data_offsets", Json(Json::Array{Json(offset), Json(*end)}));
      root.set(tensor.name, std::move(entry));
      offset = *end;
    }
    std::string text = to_text(root);
    text.resize(*padded(text.size(), kHeaderAlignment), ' ');
    if (text.size() > kSafetensorsMaxHeader)
      return Error{Code::range, "header",
                   "the header would have " + std::to_string(text.size()) +
                       " bytes; 100000000 are allowed: write several shards"};
    const std::uint64_t length = text.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
  }
};

SafetensorsWriter::SafetensorsWriter() : state_(std::make_unique<State>()) {}
SafetensorsWriter::~SafetensorsWriter() = default;
SafetensorsWriter::SafetensorsWriter(SafetensorsWriter&&) noexcept = default;
SafetensorsWriter& SafetensorsWriter::operator=(SafetensorsWriter&&) noexcept = default;

void SafetensorsWriter::set_metadata(std::string_view key, std::string_view value) {
  for (auto& member : state_->metadata)
    if (member.first == key) {
      member.second = value;
      return;
    }
  state_->metadata.emplace_back(key, value);
}

Result<> SafetensorsWriter::add_tensor(std::string_view name, FormatId format, std::vector<std::uint64_t> shape) {
  const std::string subject = printable(name);
  if (state_->stream) return Error{Code::usage, subject, "tensors are added before the file is begun"};
  if (dtype_of(format).safetensors_name.empty())
    return Error{Code::unsupported, subject, "safetensors has no dtype for " + std::string(name_of(format))};
  if (name == "__metadata__" || !is_utf8(name)) return Error{Code::usage, subject, "this is no valid tensor name"};
  ASSAY_TRY(const std::uint64_t bytes, flat_bytes(subject, format, shape));
  if (!state_->names.insert(std::string(name)).second)
    return Error{Code::duplicate, subject, "a tensor of this name was already added"};
  state_->tensors.push_back({std::string(name), format, std::move(shape), bytes});
  return success();
}

Result<> SafetensorsWriter::begin(const std::filesystem::path& path) {
  if (state_->stream) return Error{Code::usage, "", "the file was already begun", path.string()};
  ASSAY_TRY(const std::string header, state_->header());
  std::vector<DeclaredTensor> declared;
  for (const State::Tensor& tensor : state_->tensors) declared.push_back({tensor.name, tensor.bytes});
  ASSAY_TRY(state_->stream, TensorStream::begin(path, as_bytes(header), std::move(declared), 1));
  return success();
}

Result<> SafetensorsWriter::write(Bytes bytes) {
  if (!state_->stream) return Error{Code::usage, "", "the file was not begun"};
  return state_->stream->write(bytes);
}

Result<> SafetensorsWriter::finish() {
  if (!state_->stream) return Error{Code::usage, "", "the file was not begun"};
  return state_->stream->finish();
}

Result<> write_shard_index(const std::filesystem::path& path, const std::vector<ShardEntry>& entries,
                           std::uint64_t total_size) {
  Json metadata;
  metadata.set("total_size", Json(total_size));
  Json map{Json::Object{}};
  for (const ShardEntry& entry : entries) map.set(entry.tensor, Json(entry.file));
  Json root;
  root.set("metadata", std::move(metadata)).set("weight_map", std::move(map));
  const std::string text = to_text(root, 2) + "\n";
  ASSAY_TRY(OutputFile file, OutputFile::create(path, text.size()));
  ASSAY_TRY_VOID(file.write(as_bytes(text)));
  return file.commit();
}

}  // namespace assay
