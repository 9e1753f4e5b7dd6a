// assay info --tensor: decodes one tensor row by row.
#include "bench/apps/assay/info_tensor.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/info_facts.h"
#include "runtime/formats/output_file.h"
#include "runtime/kernels/cpu/dequantize_rows.h"
#include "runtime/quant/dequantize.h"

namespace assay {
namespace {

struct ValueFacts {
  std::uint64_t nan = 0, infinite = 0, zero = 0, finite = 0;
  double smallest = std::numeric_limits<double>::infinity(), largest = -std::numeric_limits<double>::infinity();
  double sum = 0, squares = 0;

  void add(std::span<const float> values) {
    for (float value : values) {
      if (std::isnan(value))
        ++nan;
      else if (std::isinf(value))
        ++infinite;
      else
        add_finite(value);
    }
  }
  double mean() const { return sum / static_cast<double>(finite); }
  double deviation() const { return std::sqrt(std::max(0.0, squares / static_cast<double>(finite) - mean() * mean())); }

 private:
  void add_finite(double value) {
    ++finite;
    if (value == 0) ++zero;
    smallest = std::min(smallest, value);
    largest = std::max(largest, value);
    sum += value;
    squares += value * value;
  }
};

using RowSink = FunctionRef<Result<>(std::span<const float>)>;

Result<> for_each_row(const TensorView& tensor, RowSink sink) {
  std::vector<float> row(tensor.cols());
  for (std::uint64_t r = 0; r < tensor.rows(); ++r) {
    if (stop_requested()) return Error{Code::interrupted, tensor.name, "stopped on request"};
    dequantize_rows(tensor, r, 1, row.data());
    ASSAY_TRY_VOID(sink(row));
  }
  return success();
}

Result<> dump_to_stdout(const TensorView& tensor) {
  return for_each_row(tensor, [&](std::span<const float> row) -> Result<> {
    if (std::fwrite(row.data(), sizeof(float), row.size(), stdout) != row.size())
      return Error{Code::io, tensor.name, "stdout does not take more bytes"};
    return success();
  });
}

Result<> dump_to_file(const TensorView& tensor, const std::string& path) {
  ASSAY_TRY(OutputFile out, OutputFile::create(path, tensor.count() * sizeof(float)));
  ASSAY_TRY_VOID(for_each_row(tensor, [&](std::span<const float> row) { return out.write(std::as_bytes(row)); }));
  return out.commit();
}

Error not_found(const ModelFile& file, const std::string& name) {
  std::string near;
  int told = 0;
  for (const TensorView& tensor : file.tensors)
    if (told < 5 && tensor.name.find(name) != std::string::npos) near += (told++ == 0 ? "" : ", ") + tensor.name;
  return Error{
      Code::not_found, name,
      near.empty() ? "no tensor of this name; --tensors lists them" : "no tensor of this name; there are " + near,
      file.path.string()};
}

void print_facts(const TensorView& tensor, const std::optional<ValueFacts>& values, const std::string& problem) {
  fmt::print("{:<10} {}\n{:<10} {}\n{:<10} {}\n", "tensor", terminal_safe(tensor.name), "type", name_of(tensor.format),
             "shape", shape_text(tensor));
  fmt::print(
      "{:<10} {} ({} values, {:.3f} bits each)\n", "bytes", tensor.stored_bytes(), tensor.count(),
      tensor.count() == 0 ? 0 : 8.0 * static_cast<double>(tensor.stored_bytes()) / static_cast<double>(tensor.count()));
  fmt::print("{:<10} at byte {} of file {}\n", "data", tensor.offset, tensor.file);
  if (!values) {
    fmt::print("{:<10} {}\n", "values", terminal_safe(problem));
    return;
  }
  if (values->finite != 0)
    fmt::print("{:<10} {:.6g} to {:.6g}, mean {:.6g}, deviation {:.6g}\n", "values", values->smallest, values->largest,
               values->mean(), values->deviation());
  fmt::print("{:<10} {} NaN, {} infinite, {} zero\n", "count", values->nan, values->infinite, values->zero);
}

Json facts_json(const TensorView& tensor, const std::optional<ValueFacts>& values, const std::string& problem) {
  Json shape = Json::Array{}, out;
  for (std::uint64_t size : tensor.shape) shape.push(size);
  out.set("schema", "assay.tensor.v1")
      .set("name", tensor.name)
      .set("type", name_of(tensor.format))
      .set("shape", std::move(shape));
  out.set("values", tensor.count())
      .set("bytes", tensor.stored_bytes())
      .set("file", std::uint64_t{tensor.file})
      .set("offset", tensor.offset);
  if (!values) return out.set("problem", problem);
  if (values->finite != 0)
    out.set("min", values->smallest)
        .set("max", values->largest)
        .set("mean", values->mean())
        .set("deviation", values->deviation());
  return out.set("nan", values->nan).set("infinite", values->infinite).set("zero", values->zero);
}

}  // namespace

int run_tensor(const ModelFile& file, const TensorRequest& request) {
  const TensorView* tensor = file.find(request.name);
  if (tensor == nullptr) return report_error(not_found(file, request.name));
  const auto computable = check_dequantizable(*tensor);
  if (!request.dump.empty()) {
    if (!computable) return report_error(computable.error());
    const auto dumped = request.dump == "-" ? dump_to_stdout(*tensor) : dump_to_file(*tensor, request.dump);
    if (!dumped) return report_error(dumped.error());
    if (request.dump == "-") return kExitYes;
  }
  std::optional<ValueFacts> values;
  if (computable) {
    values.emplace();
    const auto done = for_each_row(*tensor, [&](std::span<const float> row) {
      values->add(row);
      return success();
    });
    if (!done) return report_error(done.error());
  }
  const std::string problem = computable ? "" : computable.error().message();
  if (request.json)
    fmt::print("{}\n", to_text(facts_json(*tensor, values, problem), 2));
  else
    print_facts(*tensor, values, problem);
  return kExitYes;
}

}  // namespace assay
