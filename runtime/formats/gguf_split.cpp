// Opening a GGUF model: one file, or the set of -0000i-of-0000N.gguf files that any of its parts stands for.
#include <algorithm>
#include <map>

#include "runtime/formats/gguf.h"
#include "runtime/formats/model_parts.h"
#include "runtime/formats/shard_name.h"

namespace assay::opening {

namespace fs = std::filesystem;

namespace {

// What a part says about the set; absent keys are absent here.
struct SplitKeys {
  std::optional<std::uint64_t> number;  // counted from 0
  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> tensors;
};

// Reads one key; false when it is there but no whole number.
bool read_key(const Metadata& metadata, std::string_view key, const std::string& file, Reporter& report,
              std::optional<std::uint64_t>& out) {
  const auto value = metadata.unsigned_integer(key);
  if (value) out = *value;
  if (value || value.error().code == Code::missing) return true;
  report.error({.rule = "gguf.split.key",
                .code = value.error().code,
                .file = file,
                .offset = value.error().offset,
                .subject = std::string(key),
                .message = value.error().detail,
                .advice = "split the model again"});
  return false;
}

std::optional<SplitKeys> read_split_keys(const Metadata& metadata, const std::string& file, Reporter& report) {
  SplitKeys keys;
  const bool good = read_key(metadata, "split.no", file, report, keys.number) &&
                    read_key(metadata, "split.count", file, report, keys.count) &&
                    read_key(metadata, "split.tensors.count", file, report, keys.tensors);
  return good ? std::optional(keys) : std::nullopt;
}

struct Part {
  GgufContents contents;
  SplitKeys keys;
};

// Maps and parses one file.
std::optional<Part> read_part(const fs::path& path, Reporter& report, ModelFile& model) {
  if (!map_file(path, report, model)) return std::nullopt;
  auto contents = parse_gguf(model.files.back().bytes(), path.string(), report.sink());
  if (!contents) return std::nullopt;
  const auto keys = read_split_keys(contents->metadata, path.string(), report);
  if (!keys) return std::nullopt;
  return Part{std::move(*contents), *keys};
}

// Adds the tensors of file number `file` to the model, and the metadata of the first.
void take_part(Part part, std::uint32_t file, ModelFile& model) {
  if (file == 0) {
    model.gguf_version = part.contents.version;
    model.metadata = std::move(part.contents.metadata);
  }
  for (TensorView& tensor : part.contents.tensors) {
    tensor.file = file;
    model.tensors.push_back(std::move(tensor));
  }
}

struct KeyCheck {
  const Metadata& metadata;
  std::string file;
};

bool split_error(const KeyCheck& where, std::string_view rule, std::string_view key, std::string message,
                 Reporter& report) {
  const MetaEntry* entry = where.metadata.find(key);
  report.error({.rule = "gguf.split." + std::string(rule),
                .code = Code::malformed,
                .file = where.file,
                .offset = entry != nullptr ? std::optional(entry->offset) : std::nullopt,
                .subject = std::string(key),
                .message = std::move(message),
                .advice = "keep all parts of one set together under their original names, or download them again"});
  return false;
}

// Holds one part's keys against its file name.
bool check_keys(const SplitKeys& keys, const ShardName& name, const KeyCheck& where, Reporter& report) {
  if (keys.count.value_or(0) != name.count)
    return split_error(where, "count", "split.count",
                       "the file's name says " + std::to_string(name.count) + " parts, its metadata " +
                           std::to_string(keys.count.value_or(0)),
                       report);
  if (keys.number.value_or(0) + 1 != name.number)
    return split_error(where, "number", "split.no",
                       "the file's name says part " + std::to_string(name.number) + ", its metadata says part " +
                           std::to_string(keys.number.value_or(0) + 1),
                       report);
  return true;
}

bool check_missing(const fs::path& folder, const ShardName& name, Reporter& report) {
  std::string missing;
  std::uint32_t count = 0;
  for (std::uint32_t part = 1; part <= name.count; ++part) {
    std::error_code ignored;
    if (fs::exists(folder / name.part(part), ignored)) continue;
    if (++count <= 5) missing += (missing.empty() ? "" : ", ") + name.part(part);
  }
  if (count == 0) return true;
  if (count > 5) missing += " and " + std::to_string(count - 5) + " more";
  report.error({.rule = "gguf.split.missing",
                .code = Code::not_found,
                .subject = missing,
                .message = std::to_string(count) + " of the " + std::to_string(name.count) +
                           " parts of this model are missing from " + folder.string(),
                .advice = "download them into the same folder"});
  return false;
}

bool check_shared_names(const ModelFile& model, Reporter& report) {
  std::map<std::string_view, std::uint32_t> seen;
  for (const TensorView& tensor : model.tensors) {
    const auto [found, is_new] = seen.emplace(tensor.name, tensor.file);
    if (is_new || found->second == tensor.file) continue;
    if (!report.error({.rule = "gguf.split.duplicate",
                       .code = Code::duplicate,
                       .file = model.files[tensor.file].path().string(),
                       .offset = tensor.offset,
                       .subject = printable(tensor.name),
                       .message = "the tensor is also in " + file_name_of(model.files[found->second].path()),
                       .advice = "the parts are of different sets: download them again"}))
      return false;
  }
  return true;
}

bool open_set(const ShardName& name, Reporter& report, ModelFile& model) {
  if (!check_missing(model.folder, name, report)) return false;
  std::optional<std::uint64_t> declared;
  bool is_whole = true;
  for (std::uint32_t number = 1; number <= name.count && !report.stopped(); ++number) {
    const fs::path path = model.folder / name.part(number);
    auto part = read_part(path, report, model);
    ShardName expected = name;
    expected.number = number;
    if (!part || !check_keys(part->keys, expected, {part->contents.metadata, path.string()}, report)) {
      is_whole = false;  // the other parts may have something to say too
      continue;
    }
    if (!declared) declared = part->keys.tensors;
    take_part(std::move(*part), static_cast<std::uint32_t>(model.files.size() - 1), model);
  }
  if (!is_whole || report.stopped()) return false;
  if (declared && *declared != model.tensors.size() &&
      !split_error({model.metadata, model.files.front().path().string()}, "tensors", "split.tensors.count",
                   "the set should hold " + std::to_string(*declared) + " tensors, its parts hold " +
                       std::to_string(model.tensors.size()),
                   report))
    return false;
  return check_shared_names(model, report);
}

}  // namespace

bool open_gguf(const fs::path& path, Reporter& report, ModelFile& model) {
  model.kind = FileKind::gguf;
  auto part = read_part(path, report, model);
  if (!part) return false;
  const auto name = parse_shard_name(file_name_of(path));
  const KeyCheck where{part->contents.metadata, path.string()};
  const std::uint64_t count = part->keys.count.value_or(1);
  if (part->keys.number.value_or(0) >= std::max<std::uint64_t>(count, 1))
    return split_error(
        where, "number", "split.no",
        "part number " + std::to_string(*part->keys.number) + " (counted from 0) of " + std::to_string(count), report);
  if (count <= 1) {
    if (name && name->count > 1 &&
        !report.warning({.rule = "gguf.split.alone",
                         .code = Code::malformed,
                         .subject = "split.count",
                         .message = "the file is named as one of " + std::to_string(name->count) +
                                    " parts, but says nothing of it inside",
                         .advice = "opened alone; if tensors are missing, join the parts first"}))
      return false;
    take_part(std::move(*part), 0, model);
    return true;
  }
  if (!name)
    return split_error(where, "name", "split.count",
                       "the file is one of " + std::to_string(count) +
                           " parts, and its name is not of the form NAME-00001-of-" +
                           ShardName{"", "", 1, static_cast<std::uint32_t>(count)}.part(1).substr(10) +
                           ".gguf, so the others cannot be found",
                       report);
  if (!check_keys(part->keys, *name, where, report)) return false;
  part.reset();
  model.files.clear();
  return open_set(*name, report, model);
}

}  // namespace assay::opening
