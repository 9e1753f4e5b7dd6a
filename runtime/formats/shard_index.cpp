// Sets of safetensors files: model.safetensors.index.json and the rules that tie it to its shards.
#include <algorithm>
#include <map>
#include <set>

#include "runtime/formats/model_parts.h"
#include "runtime/formats/shard_name.h"

namespace assay::opening {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMatchingSet = "download index and shards again, from one revision of the repository";

struct ShardIndex {
  std::map<std::string, std::string, std::less<>> file_of;  // tensor -> shard
  std::set<std::string, std::less<>> files;
  std::optional<std::uint64_t> total_size;
};

// What is said about an index file: its reporter and its text.
struct AtIndex {
  Reporter report;
  NameFinder places;

  // About one tensor or key. Answers whether to go on.
  bool error(std::string_view rule, Code code, std::string_view name, std::string message,
             std::string_view advice = kMatchingSet) {
    return report.error({.rule = "index." + std::string(rule),
                         .code = code,
                         .offset = places.find(name),
                         .subject = printable(name),
                         .message = std::move(message),
                         .advice = std::string(advice)});
  }
  bool warning(std::string_view rule, Code code, std::string_view name, std::string message) {
    return report.warning({.rule = "index." + std::string(rule),
                           .code = code,
                           .offset = places.find(name),
                           .subject = printable(name),
                           .message = std::move(message),
                           .advice = std::string(kMatchingSet)});
  }
};

// A shard lies beside its index: its name is a plain file name.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\:\0", 4)) == std::string_view::npos;
}

bool read_entry(const std::string& tensor, const Json& value, AtIndex& at, ShardIndex& index) {
  const std::string* file = value.string();
  if (file == nullptr) return at.error("json", Code::type, tensor, "its shard is not a string");
  if (!is_plain_name(*file))
    return at.error("path", Code::malformed, tensor, "its shard \"" + printable(*file) + "\" is not a plain file name",
                    "an index that points outside its folder is not followed: get the model from a source you trust");
  if (!index.file_of.emplace(tensor, *file).second)
    return at.error("duplicate-entry", Code::duplicate, tensor, "weight_map names this tensor twice");
  index.files.insert(*file);
  return true;
}

std::optional<ShardIndex> read_index(const Json& json, AtIndex& at) {
  const Json* map = json.find("weight_map");
  if (map == nullptr || map->object() == nullptr || map->object()->empty()) {
    at.error("json", Code::missing, "weight_map", "the index has no weight_map, or an empty one");
    return std::nullopt;
  }
  ShardIndex index;
  for (const auto& [tensor, file] : *map->object())
    if (!read_entry(tensor, file, at, index)) return std::nullopt;
  if (const Json* metadata = json.find("metadata"))
    if (const Json* total = metadata->find("total_size")) index.total_size = total->unsigned_integer();
  if (index.files.empty()) return std::nullopt;  // every entry was wrong, and reported
  return index;
}

// Names what is not there: listed shards, and numbers missing from a -i-of-N set.
bool check_files(const fs::path& folder, const ShardIndex& index, AtIndex& at) {
  std::string missing;
  std::size_t count = 0;
  for (const std::string& file : index.files) {
    std::error_code ignored;
    if (fs::is_regular_file(folder / file, ignored)) continue;
    if (++count <= 5) missing += (missing.empty() ? "" : ", ") + printable(file);
  }
  if (count > 5) missing += " and " + std::to_string(count - 5) + " more";
  if (count > 0) {
    at.report.error({.rule = "index.shard-missing",
                     .code = Code::not_found,
                     .subject = missing,
                     .message = std::to_string(count) + " of the " + std::to_string(index.files.size()) +
                                " shards are missing from " + folder.string(),
                     .advice = "download them into the same folder"});
    return false;
  }
  const auto name = parse_shard_name(*index.files.begin());
  for (std::uint32_t part = 1; name && part <= name->count && name->count <= 10000; ++part)
    if (!index.files.contains(name->part(part)) &&
        !at.warning("shard-unlisted", Code::missing, name->part(part),
                    "the shards' names say there is such a part, the index lists no tensor of it"))
      return false;
  return true;
}

using Places = std::map<std::string_view, std::vector<std::uint32_t>>;  // tensor -> the files that hold it

Places places_of(const ModelFile& model) {
  Places places;
  for (const TensorView& tensor : model.tensors) places[tensor.name].push_back(tensor.file);
  return places;
}

std::string file_name(const ModelFile& model, std::uint32_t file) {
  return file_name_of(model.files[file].path());
}

bool check_duplicates(const Places& places, const ModelFile& model, Reporter& report) {
  for (const auto& [tensor, files] : places)
    if (files.size() > 1 && !report.error({.rule = "index.duplicate",
                                           .code = Code::duplicate,
                                           .subject = printable(tensor),
                                           .message = "the tensor is in " + file_name(model, files[0]) + " and in " +
                                                      file_name(model, files[1]),
                                           .advice = std::string(kMatchingSet)}))
      return false;
  return true;
}

bool check_map(const ShardIndex& index, const Places& places, const ModelFile& model, AtIndex& at) {
  for (const auto& entry : index.file_of) {
    const std::string& tensor = entry.first;
    const std::string& shard = entry.second;
    const auto found = places.find(tensor);
    const bool is_absent = found == places.end();
    const auto is_here = [&](std::uint32_t file) { return file_name(model, file) == shard; };
    if (!is_absent && std::any_of(found->second.begin(), found->second.end(), is_here)) continue;
    const std::string said = "the index says it is in " + printable(shard) + ", but ";
    if (!at.error(is_absent ? "tensor-missing" : "wrong-shard", is_absent ? Code::missing : Code::mismatch, tensor,
                  said + (is_absent ? "no shard has it" : "it is in " + file_name(model, found->second.front()))))
      return false;
  }
  for (const auto& [tensor, files] : places)
    if (!index.file_of.contains(tensor) &&
        !at.warning("tensor-unlisted", Code::malformed, tensor,
                    "the tensor is in " + file_name(model, files.front()) + ", but not in the index"))
      return false;
  return true;
}

bool check_total(const ShardIndex& index, const ModelFile& model, AtIndex& at) {
  std::uint64_t total = 0;  // of bytes inside mappings, so it cannot wrap
  for (const TensorView& tensor : model.tensors) total += tensor.data.size();
  if (at.report.failed() || !index.total_size || *index.total_size == total) return true;
  return at.warning("total-size", Code::mismatch, "total_size",
                    "the index declares " + std::to_string(*index.total_size) + " bytes of tensors, the shards hold " +
                        std::to_string(total));
}

}  // namespace

bool open_shard_index(const fs::path& path, Reporter& report, ModelFile& model) {
  model.kind = FileKind::sharded_safetensors;
  const auto json = read_json_file(path, "index.json", report);
  if (!json) return false;
  const auto text = MappedFile::open(path);
  if (!text) return report_error(text.error(), "file.open", report), false;
  AtIndex at{Reporter(report.sink(), path.string()),
             NameFinder({reinterpret_cast<const char*>(text->bytes().data()), text->bytes().size()}, 0)};
  const auto index = read_index(*json, at);
  if (!index || !check_files(model.folder, *index, at)) return false;
  bool is_whole = true;
  for (const std::string& file : index->files) {
    if (report.stopped()) return false;
    is_whole =
        add_safetensors(model.folder / file, report, model) && is_whole;  // the others may have something to say too
  }
  if (!is_whole) return false;
  const Places places = places_of(model);
  return check_duplicates(places, model, at.report) && check_map(*index, places, model, at) &&
         check_total(*index, model, at);
}

bool open_shard_set(const std::vector<fs::path>& paths, Reporter& report, ModelFile& model) {
  model.kind = FileKind::sharded_safetensors;
  if (!report.warning({.rule = "index.missing",
                       .code = Code::missing,
                       .subject = "model.safetensors.index.json",
                       .message = "the folder has the shards of a model, but not their index; all shards are opened",
                       .advice = "download the index as well, so that a wrong shard is noticed"}))
    return false;
  bool is_whole = true;
  for (const fs::path& path : paths) is_whole = !report.stopped() && add_safetensors(path, report, model) && is_whole;
  return is_whole && check_duplicates(places_of(model), model, report);
}

bool open_safetensors(const fs::path& path, Reporter& report, ModelFile& model) {
  model.kind = FileKind::safetensors;
  const auto name = parse_shard_name(file_name_of(path));
  if (!name || name->count <= 1) return add_safetensors(path, report, model);
  const fs::path index = model.folder / (name->prefix + ".safetensors.index.json");
  std::error_code ignored;
  if (fs::exists(index, ignored)) return open_shard_index(index, report, model);
  std::vector<fs::path> paths;
  std::string missing;
  for (std::uint32_t part = 1; part <= name->count; ++part) {
    paths.push_back(model.folder / name->part(part));
    if (missing.empty() && !fs::exists(paths.back(), ignored)) missing = name->part(part);
  }
  if (missing.empty()) return open_shard_set(paths, report, model);
  report.error({.rule = "index.shard-missing",
                .code = Code::not_found,
                .subject = missing,
                .message = "the file is one of " + std::to_string(name->count) +
                           " shards, and this one is missing from " + model.folder.string(),
                .advice = "download all shards and " + file_name_of(index) + " into the same folder"});
  return false;
}

}  // namespace assay::opening
