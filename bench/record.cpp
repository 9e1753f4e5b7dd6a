// Where the facts in records come from: the build, the model, the clock.
#include "bench/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "runtime/core/build_info.h"
#include "runtime/model/weights.h"

#ifndef ASSAY_FLAGS
#define ASSAY_FLAGS ""
#endif

namespace assay {

BuildFacts build_facts() {
  const BuildInfo& info = build_info();
  return {.version = std::string(info.version),
          .commit = std::string(info.commit),
          .compiler = std::string(info.compiler),
          .build_type = std::string(info.build_type),
          .flags = ASSAY_FLAGS,
          .is_dirty = info.is_dirty};
}

ModelFacts describe_model(const Model& model, std::string_view name) {
  ModelFacts facts;
  facts.name = name;
  facts.path = model.file->path.string();
  facts.kind = name_of(model.file->kind);
  facts.architecture = model.config.arch->name;
  facts.context = model.config.context;
  facts.file_bytes = model.file->file_bytes();
  for (const TensorView& tensor : model.file->tensors) {
    const std::string_view format = name_of(tensor.format);
    auto share = std::find_if(facts.formats.begin(), facts.formats.end(), [&](const FormatShare& s) { return s.format == format; });
    if (share == facts.formats.end()) share = facts.formats.insert(share, {.format = std::string(format)});
    ++share->tensors;
    share->values += tensor.count();
    share->bytes += tensor.stored_bytes();
    facts.parameters += parameters_of(tensor, *model.file);
    facts.weight_bytes += tensor.stored_bytes();
  }
  std::stable_sort(facts.formats.begin(), facts.formats.end(), [](const FormatShare& a, const FormatShare& b) { return a.bytes > b.bytes; });
  if (facts.parameters > 0) facts.bits_per_weight = 8.0 * static_cast<double>(facts.weight_bytes) / static_cast<double>(facts.parameters);
  return facts;
}

std::string label_of(const ModelFacts& model) {
  const double count = static_cast<double>(model.parameters);
  const std::string size = count >= 1e9 ? fmt::format("{:.2f} B", count / 1e9) : fmt::format("{:.2f} M", count / 1e6);
  return fmt::format("{} {} {}", model.architecture, size, model.formats.empty() ? "" : model.formats.front().format);
}

std::string utc_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

ASSAY_JSON_HERE(ModelRun)
ASSAY_JSON_HERE(KernelRun)

}  // namespace assay
