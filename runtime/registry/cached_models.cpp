// Walks snapshots and puts files together to models.
#include "runtime/registry/cached_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "runtime/core/json.h"
#include "runtime/formats/shard_name.h"
#include "runtime/hub/cache_layout.h"
#include "runtime/hub/digest.h"
#include "runtime/hub/select.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLargestJson = 64 << 20;  // an index of a large model is a few megabytes

struct SnapshotFile {
  std::string name;  // relative, with slashes
  std::string path;  // absolute
  std::uint64_t bytes = 0;
  std::string blob;  // the name of the blob it links to
};
using SnapshotFiles = std::vector<SnapshotFile>;

// Regular files below (or, without `goes_deep`, in) the folder, links to files followed; dangling ones are left out.
SnapshotFiles files_below(const fs::path& folder, bool goes_deep) {
  SnapshotFiles out;
  std::error_code problem;
  for (fs::recursive_directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) {
    std::error_code ignored;
    if (!goes_deep) at.disable_recursion_pending();
    if (!at->is_regular_file(ignored)) continue;
    SnapshotFile file{.name = at->path().lexically_relative(folder).generic_string(),
                      .path = at->path().string(),
                      .bytes = fs::file_size(at->path(), ignored),
                      .blob = {}};
    const fs::path target = fs::read_symlink(at->path(), ignored);
    if (!ignored && target.parent_path().filename() == "blobs") file.blob = target.filename().string();
    out.push_back(std::move(file));
  }
  std::sort(out.begin(), out.end(), [](const SnapshotFile& a, const SnapshotFile& b) { return a.name < b.name; });
  return out;
}

RegistryFile record_of(const SnapshotFile& file) {
  return {file.path, file.name, file.bytes, digest_of_etag(file.blob) ? file.blob : ""};
}

std::string last_name(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}
std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return std::string(path.substr(0, slash == std::string_view::npos ? 0 : slash));
}

const SnapshotFile* find_file(const SnapshotFiles& files, const std::string& folder, const std::string& name) {
  const std::string whole = folder.empty() ? name : folder + "/" + name;
  const auto found =
      std::lower_bound(files.begin(), files.end(), whole,
                       [](const SnapshotFile& file, const std::string& wanted) { return file.name < wanted; });
  return found != files.end() && found->name == whole ? &*found : nullptr;
}

Json read_small_json(const SnapshotFile* file) {
  if (file == nullptr || file->bytes > kLargestJson) return {};
  std::ifstream in(file->path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  auto json = parse_json(text, {.max_tree_bytes = std::size_t{1} << 30});
  return json ? std::move(*json) : Json();
}

void add_up(RegistryModel& model) {
  model.bytes = 0;
  for (const RegistryFile& file : model.files) model.bytes += file.bytes;
}

// Projectors of vision models, importance matrices and draft heads are no models of their own.
bool is_companion(std::string_view name) {
  return name.find("mmproj") != std::string_view::npos || name.find("imatrix") != std::string_view::npos ||
         name.starts_with("mtp-");
}

void add_gguf_models(const SnapshotFiles& files, std::vector<RegistryModel>& out) {
  for (const SnapshotFile& file : files) {
    const std::string name = last_name(file.name);
    if (!name.ends_with(".gguf") || is_companion(name)) continue;
    const auto shard = parse_shard_name(name);
    if (shard && shard->number != 1) continue;
    RegistryModel model;
    model.name = file.name;
    model.path = file.path;
    model.format = "gguf";
    model.quantization = quant_of_name(name);
    model.files.push_back(record_of(file));
    bool is_whole = true;
    for (std::uint32_t part = 2; shard && is_whole && part <= shard->count; ++part) {
      const SnapshotFile* next = find_file(files, folder_of(file.name), shard->part(part));
      is_whole = next != nullptr;
      if (is_whole) model.files.push_back(record_of(*next));
    }
    add_up(model);
    if (is_whole) out.push_back(std::move(model));
  }
}

// The files that the index names, once each and in order; nothing when one is missing.
std::vector<const SnapshotFile*> shards_of(const SnapshotFiles& files, const std::string& folder,
                                           const SnapshotFile& index) {
  const Json json = read_small_json(&index);
  const Json* map = json.find("weight_map");
  std::set<std::string> names;
  if (map != nullptr && map->object() != nullptr)
    for (const auto& [tensor, file] : *map->object())
      if (file.string() != nullptr) names.insert(*file.string());
  std::vector<const SnapshotFile*> out;
  for (const std::string& name : names) {
    out.push_back(find_file(files, folder, name));
    if (out.back() == nullptr) return {};
  }
  return out;
}

std::string capitals(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

// Format and quantisation as config.json tells them.
void describe_weights(RegistryModel& model, const Json& config) {
  model.format = "safetensors";
  const Json* mlx = config.find("quantization");
  if (mlx != nullptr && mlx->find("bits") != nullptr) {
    model.format = "mlx";
    model.quantization = fmt::format("MLX {}-bit", mlx->find("bits")->integer().value_or(0));
    return;
  }
  const Json* other = config.find("quantization_config");
  const Json* method = other ? other->find("quant_method") : nullptr;
  const Json* type = config.find("torch_dtype") ? config.find("torch_dtype") : config.find("dtype");
  if (method && method->string())
    model.quantization = capitals(*method->string());
  else if (type && type->string())
    model.quantization = *type->string() == "bfloat16"  ? "BF16"
                         : *type->string() == "float16" ? "F16"
                         : *type->string() == "float32" ? "F32"
                                                        : *type->string();
}

void add_folder_models(const SnapshotFiles& files, std::vector<RegistryModel>& out) {
  for (const SnapshotFile& file : files) {
    if (last_name(file.name) != "config.json") continue;
    const std::string folder = folder_of(file.name);
    std::vector<const SnapshotFile*> weights;
    if (const SnapshotFile* index = find_file(files, folder, "model.safetensors.index.json"))
      weights = shards_of(files, folder, *index);
    else if (const SnapshotFile* single = find_file(files, folder, "model.safetensors"))
      weights = {single};
    if (weights.empty()) continue;
    RegistryModel model;
    model.name = folder;
    model.path = fs::path(file.path).parent_path().string();
    describe_weights(model, read_small_json(&file));
    for (const SnapshotFile* each : weights) model.files.push_back(record_of(*each));
    // What stands beside the weights belongs to the model: configuration, tokenizer, chat template.
    for (const SnapshotFile& each : files)
      if (folder_of(each.name) == folder && !each.name.ends_with(".safetensors") && !each.name.ends_with(".gguf"))
        model.files.push_back(record_of(each));
    add_up(model);
    out.push_back(std::move(model));
  }
}

struct Snapshot {
  std::string repository, commit, revision;  // revision: the ref that points here, "main" before others
  fs::path folder;
};

std::string first_line(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// Those that refs point to first, main before all, so that they get the plain names.
std::vector<Snapshot> snapshots_in(const fs::path& cache) {
  std::vector<Snapshot> out;
  std::error_code problem;
  for (fs::directory_iterator at(cache, problem), end; !problem && at != end; at.increment(problem)) {
    const std::string repository = CacheLayout::name_of_folder(at->path().filename().string());
    if (repository.empty()) continue;
    std::error_code ignored;
    std::map<std::string, std::string> refs;  // by commit
    for (fs::recursive_directory_iterator ref(at->path() / "refs", ignored), last; !ignored && ref != last;
         ref.increment(ignored)) {
      const std::string name = ref->path().lexically_relative(at->path() / "refs").generic_string();
      std::string& known = refs[first_line(ref->path())];
      if (known != "main") known = name;
    }
    for (fs::directory_iterator snapshot(at->path() / "snapshots", ignored), last; !ignored && snapshot != last;
         snapshot.increment(ignored)) {
      const std::string commit = snapshot->path().filename().string();
      const auto ref = refs.find(commit);
      out.push_back({repository, commit, ref == refs.end() ? "" : ref->second, snapshot->path()});
    }
  }
  const auto rank = [](const Snapshot& s) { return s.revision == "main" ? 0 : s.revision.empty() ? 2 : 1; };
  std::sort(out.begin(), out.end(), [&](const Snapshot& a, const Snapshot& b) {
    return std::tuple(a.repository, rank(a), a.commit) < std::tuple(b.repository, rank(b), b.commit);
  });
  return out;
}

}  // namespace

std::vector<RegistryModel> models_in_folder(const fs::path& folder, bool goes_deep) {
  const SnapshotFiles files = files_below(folder, goes_deep);
  std::vector<RegistryModel> out;
  add_gguf_models(files, out);
  add_folder_models(files, out);
  return out;
}

std::string name_in_cache(const std::string& repository, const std::string& gguf) {
  if (gguf.empty()) return repository;
  const std::string quantization = quant_of_name(last_name(gguf));
  return repository + (quantization.empty() ? "/" + gguf : ":" + quantization);
}

std::vector<RegistryModel> models_of_urls(const fs::path& folder) {
  std::vector<RegistryModel> out = models_in_folder(folder);
  for (RegistryModel& model : out) model.source = "url";
  return out;
}

std::vector<RegistryModel> models_in_cache(const fs::path& cache, const Catalogue& catalogue) {
  std::vector<RegistryModel> out;
  std::map<std::string, std::string> commits;  // of the names that are taken
  for (const Snapshot& snapshot : snapshots_in(cache)) {
    for (RegistryModel& model : models_in_folder(snapshot.folder)) {
      const std::string file = model.format == "gguf" ? model.name : "";
      const CatalogueRow* row =
          model.name.empty() || !file.empty() ? catalogue.find_file(snapshot.repository, file) : nullptr;
      const std::string inside = std::exchange(model.name, name_in_cache(snapshot.repository, file));
      if (row != nullptr)
        model.name = row->id;
      else if (file.empty() && !inside.empty())
        model.name += "/" + inside;
      const auto taken = commits.find(model.name);
      if (taken != commits.end())
        model.name = taken->second == snapshot.commit ? snapshot.repository + "/" + inside
                                                      : model.name + "@" + snapshot.commit.substr(0, 7);
      if (!commits.emplace(model.name, snapshot.commit).second) continue;
      model.source = "hub";
      model.repository = snapshot.repository;
      model.commit = snapshot.commit;
      model.revision = snapshot.revision;
      out.push_back(std::move(model));
    }
  }
  return out;
}

}  // namespace assay
