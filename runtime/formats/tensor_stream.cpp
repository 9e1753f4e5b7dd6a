// Counting and padding of tensor bytes on their way to a file.
#include "runtime/formats/tensor_stream.h"

#include <algorithm>

namespace assay {

std::optional<std::uint64_t> padded(std::uint64_t bytes, std::uint64_t alignment) {
  const auto sum = checked_add(bytes, alignment - 1);
  return sum ? std::optional(*sum & ~(alignment - 1)) : std::nullopt;
}

Result<std::uint64_t> bytes_of_tensor(std::string_view name, FormatId format, const std::vector<std::uint64_t>& shape) {
  const DtypeRow& type = dtype_of(format);
  std::uint64_t values = 1;
  for (const std::uint64_t size : shape) {
    const auto product = checked_multiply(values, size);
    if (!product) return Error{Code::range, std::string(name), "the shape has more values than fit into 64 bits"};
    values = *product;
  }
  const std::uint64_t row = shape.empty() ? 1 : shape.back();
  if (row % type.block_values != 0)
    return Error{Code::shape, std::string(name),
                 "rows of " + std::to_string(row) + " values are no multiple of the " +
                     std::to_string(type.block_values) + " values of a " + std::string(type.name) +
                     " block; choose another format for this tensor"};
  const auto bytes = checked_multiply(values / type.block_values, type.block_bytes);
  if (!bytes) return Error{Code::range, std::string(name), "the shape takes more bytes than fit into 64 bits"};
  return *bytes;
}

Result<TensorStream> TensorStream::begin(const std::filesystem::path& path, Bytes header,
                                         std::vector<DeclaredTensor> tensors, std::uint64_t alignment) {
  std::uint64_t total = header.size();
  for (const DeclaredTensor& tensor : tensors) {
    const auto size = padded(tensor.bytes, alignment);
    const auto sum = size ? checked_add(total, *size) : std::nullopt;
    if (!sum)
      return Error{Code::range, tensor.name, "the file would have more bytes than fit into 64 bits", path.string()};
    total = *sum;
  }
  ASSAY_TRY(OutputFile file, OutputFile::create(path, total));
  ASSAY_TRY_VOID(file.write(header));
  TensorStream stream(std::move(file), std::move(tensors), alignment);
  ASSAY_TRY_VOID(stream.close_full_tensors());
  return stream;
}

// Pads every tensor that has all its bytes and moves on to the next that wants some.
Result<> TensorStream::close_full_tensors() {
  while (current_ < tensors_.size() && in_current_ == tensors_[current_].bytes) {
    ASSAY_TRY_VOID(file_.write_zeros(*padded(in_current_, alignment_) - in_current_));
    ++current_;
    in_current_ = 0;
  }
  return success();
}

Result<> TensorStream::write(Bytes bytes) {
  while (!bytes.empty()) {
    if (current_ == tensors_.size())
      return Error{Code::usage, tensors_.empty() ? "" : tensors_.back().name,
                   std::to_string(bytes.size()) + " bytes more than all tensors were declared with"};
    const std::uint64_t count = std::min<std::uint64_t>(bytes.size(), tensors_[current_].bytes - in_current_);
    ASSAY_TRY_VOID(file_.write(bytes.first(count)));
    in_current_ += count;
    bytes = bytes.subspan(count);
    ASSAY_TRY_VOID(close_full_tensors());
  }
  return success();
}

Result<> TensorStream::finish() {
  if (current_ < tensors_.size())
    return Error{Code::usage, tensors_[current_].name,
                 "only " + std::to_string(in_current_) + " of its " + std::to_string(tensors_[current_].bytes) +
                     " bytes were written"};
  return file_.commit();
}

}  // namespace assay
