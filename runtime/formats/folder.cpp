// Choosing what to open in a folder: index, single safetensors, GGUF; a sentence that lists the candidates where it is
// unclear.
#include <algorithm>
#include <array>
#include <map>

#include "runtime/formats/model_parts.h"
#include "runtime/formats/shard_name.h"

namespace assay::opening {

namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

// Plain files of the folder, sorted.
std::optional<Names> list(const fs::path& folder, Reporter& report) {
  std::error_code problem;
  Names names;
  for (fs::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) {
    std::error_code ignored;
    if (at->is_regular_file(ignored)) names.push_back(file_name_of(at->path()));
  }
  if (problem) {
    report.error({.rule = "folder.read",
                  .code = Code::io,
                  .message = "cannot read the folder: " + problem.message(),
                  .advice = "check its permissions"});
    return std::nullopt;
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool has(const Names& names, std::string_view name) {
  return std::binary_search(names.begin(), names.end(), name);
}

template <class Accept>
Names pick(const Names& names, Accept accept) {
  Names out;
  std::copy_if(names.begin(), names.end(), std::back_inserter(out), accept);
  return out;
}

std::string joined(const Names& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < 8; ++i) text += (i == 0 ? "" : ", ") + printable(names[i]);
  if (names.size() > 8) text += " and " + std::to_string(names.size() - 8) + " more";
  return text;
}

// One name for each model: the parts of a set count once, as their first part that is there.
Names first_parts(const Names& names) {
  Names out;
  std::map<std::string, bool> seen;
  for (const std::string& name : names) {
    const auto shard = parse_shard_name(name);
    if (!shard || seen.emplace(shard->prefix + '/' + std::to_string(shard->count), true).second) out.push_back(name);
  }
  return out;
}

// Not language models: projectors, importance matrices, adapters, Mistral's second copy of the same weights.
bool is_companion(std::string_view name) {
  constexpr std::array<std::string_view, 3> kStarts = {"mmproj", "imatrix", "consolidated"};
  return std::any_of(kStarts.begin(), kStarts.end(), [&](std::string_view start) { return name.starts_with(start); }) ||
         name.find("adapter_model") != std::string_view::npos;
}

struct Refusal {
  std::string_view suffix;
  std::string_view advice;
};
constexpr std::array kOtherWeights = {
    Refusal{".pte", "they are ExecuTorch programs: download the same model as GGUF or safetensors"},
    Refusal{
        ".bin",
        "PyTorch pickles can run code, so Assay does not open them: use a revision with safetensors, or convert them"},
    Refusal{
        ".pt",
        "PyTorch pickles can run code, so Assay does not open them: use a revision with safetensors, or convert them"},
    Refusal{
        ".pth",
        "PyTorch pickles can run code, so Assay does not open them: use a revision with safetensors, or convert them"},
    Refusal{".onnx", "ONNX is not read: download the model as GGUF or safetensors"},
    Refusal{".h5", "Keras files are not read: download the model as GGUF or safetensors"},
    Refusal{".npz", "NumPy archives are not read: download the model as GGUF or safetensors"},
};

// A sub-folder with weights, for the advice.
std::string find_below(const fs::path& folder) {
  std::error_code problem;
  Names found;
  for (fs::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) {
    std::error_code ignored;
    if (!at->is_directory(ignored)) continue;
    for (fs::directory_iterator inner(at->path(), ignored), stop; !ignored && inner != stop; inner.increment(ignored)) {
      const std::string extension = inner->path().extension().string();
      if (extension == ".gguf" || extension == ".safetensors") {
        found.push_back(file_name_of(at->path()));
        break;
      }
    }
  }
  std::sort(found.begin(), found.end());
  return joined(found);
}

void report_none(const fs::path& folder, const Names& names, Reporter& report) {
  Finding finding{
      .rule = "folder.no-weights", .code = Code::not_found, .message = "the folder holds no weights that Assay opens"};
  for (const Refusal& other : kOtherWeights) {
    const Names found = pick(names, [&](const std::string& name) { return name.ends_with(other.suffix); });
    if (found.empty()) continue;
    finding.rule = "folder.other-weights";
    finding.code = Code::unsupported;
    finding.message += ", only " + joined(found);
    finding.advice = other.advice;
    report.error(std::move(finding));
    return;
  }
  finding.message += ": no model.safetensors, no model.safetensors.index.json, no .gguf";
  finding.message += names.empty() ? " (it has no files)" : " (it has " + joined(names) + ")";
  const std::string below = find_below(folder);
  finding.advice = below.empty() ? "download the model's weights into it"
                                 : "weights lie in its folders " + below + ": name one of them";
  report.error(std::move(finding));
}

std::optional<std::vector<fs::path>> only(const fs::path& folder, const Names& candidates, std::string_view kind,
                                          Reporter& report) {
  if (candidates.size() == 1) return std::vector{folder / candidates.front()};
  report.error({.rule = "folder.ambiguous",
                .code = Code::usage,
                .message = "the folder holds " + std::to_string(candidates.size()) + " " + std::string(kind) +
                           " models: " + joined(candidates),
                .advice = "name one of these files"});
  return std::nullopt;
}

}  // namespace

std::optional<std::vector<fs::path>> choose_weights(const fs::path& folder, Reporter& report) {
  const auto names = list(folder, report);
  if (!names) return std::nullopt;
  if (has(*names, "model.safetensors.index.json")) return std::vector{folder / "model.safetensors.index.json"};
  if (has(*names, "model.safetensors")) return std::vector{folder / "model.safetensors"};
  const Names indexes = pick(
      *names, [](const std::string& name) { return name.ends_with(".safetensors.index.json") && !is_companion(name); });
  if (!indexes.empty()) return only(folder, indexes, "indexed safetensors", report);

  const auto is_kind = [](std::string_view extension, bool companion) {
    return [=](const std::string& name) { return name.ends_with(extension) && is_companion(name) == companion; };
  };
  const Names safetensors = first_parts(pick(*names, is_kind(".safetensors", false)));
  const Names gguf = first_parts(pick(*names, is_kind(".gguf", false)));
  if (has(*names, "config.json") && safetensors.size() == 1) return only(folder, safetensors, "safetensors", report);
  if (!gguf.empty()) return only(folder, gguf, "GGUF", report);
  if (!safetensors.empty()) return only(folder, safetensors, "safetensors", report);
  const Names companions = first_parts(pick(*names, is_kind(".safetensors", true)));
  if (companions.size() == 1) return only(folder, companions, "safetensors", report);
  report_none(folder, *names, report);
  return std::nullopt;
}

}  // namespace assay::opening
