// Recognises what lies at a path, and records it.
#include "runtime/registry/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "runtime/core/json.h"
#include "runtime/core/sha256.h"
#include "runtime/formats/model_file.h"
#include "runtime/formats/shard_name.h"
#include "runtime/hub/select.h"
#include "runtime/registry/cached_models.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

constexpr std::uintmax_t kLargestManifest = 1 << 20;
constexpr std::string_view kModelLayer = "application/vnd.ollama.image.model";
constexpr std::string_view kDigest = "sha256:";

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// The layer of a manifest that holds the weights.
const Json* model_layer(const Json& manifest) {
  const Json* layers = manifest.find("layers");
  if (layers == nullptr || layers->array() == nullptr) return nullptr;
  for (const Json& layer : *layers->array()) {
    const Json* type = layer.find("mediaType");
    if (type && type->string() && *type->string() == kModelLayer) return &layer;
  }
  return nullptr;
}

// "registry.ollama.ai/library/llama3.2/1b" is llama3.2:1b; other hosts and owners keep their names.
std::string ollama_name(const fs::path& manifest, const fs::path& manifests) {
  std::string name =
      manifest.parent_path().lexically_relative(manifests).generic_string() + ":" + manifest.filename().string();
  for (const std::string_view usual : {"registry.ollama.ai/library/", "registry.ollama.ai/"})
    if (name.starts_with(usual)) {
      name.erase(0, usual.size());
      break;
    }
  return "ollama/" + name;
}

Result<RegistryModel> ollama_model(const fs::path& manifest, const fs::path& store) {
  std::error_code problem;
  const auto wrong = [&](std::string detail) {
    return Error{Code::malformed, "", std::move(detail), manifest.string()};
  };
  if (fs::file_size(manifest, problem) > kLargestManifest || problem) return wrong("is no manifest of ollama");
  std::ifstream in(manifest, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  ASSAY_TRY(const Json json, parse_json(text));
  const Json* layer = model_layer(json);
  const Json* digest = layer ? layer->find("digest") : nullptr;
  if (digest == nullptr || digest->string() == nullptr || !digest->string()->starts_with(kDigest))
    return wrong("names no model");
  const std::string hash = digest->string()->substr(kDigest.size());
  if (hash.size() != 64 || hash.find_first_not_of("0123456789abcdef") != std::string::npos)
    return wrong("names a model by something that is no SHA-256");
  const fs::path blob = store / "blobs" / ("sha256-" + hash);
  RegistryModel model;
  model.name = ollama_name(manifest, store / "manifests");
  model.source = "ollama";
  model.format = "gguf";
  model.path = blob.string();
  model.bytes = fs::file_size(blob, problem);
  if (problem) return Error{Code::not_found, model.name, "its blob is not there: " + blob.string()};
  model.files = {{blob.string(), blob.filename().string(), model.bytes, hash}};
  return model;
}

ImportFound ollama_models(const fs::path& store) {
  ImportFound out{.kind = "ollama", .models = {}, .problems = {}};
  std::error_code problem;
  for (fs::recursive_directory_iterator at(store / "manifests", problem), end; !problem && at != end;
       at.increment(problem)) {
    std::error_code ignored;
    if (!at->is_regular_file(ignored)) continue;
    auto model = ollama_model(at->path(), store);
    if (model)
      out.models.push_back(std::move(*model));
    else
      out.problems.push_back(model.error().message());
  }
  return out;
}

// ORG/REPO/FILE.gguf and ORG/REPO with safetensors, two levels below the store.
ImportFound lm_studio_models(const fs::path& store) {
  ImportFound out{.kind = "lmstudio", .models = {}, .problems = {}};
  for (RegistryModel& model : models_in_folder(store)) {
    const std::string inside = fs::path(model.path).lexically_relative(store).generic_string();
    const auto slashes = std::count(inside.begin(), inside.end(), '/');
    const std::size_t second = slashes < 1 ? std::string::npos : inside.find('/', inside.find('/') + 1);
    if (slashes != (model.format == "gguf" ? 2 : 1)) continue;
    model.source = "lmstudio";
    model.repository = inside.substr(0, second);
    model.name = "lmstudio/" + model.repository +
                 (model.format != "gguf"       ? ""
                  : model.quantization.empty() ? inside.substr(second)
                                               : ":" + model.quantization);
    out.models.push_back(std::move(model));
  }
  return out;
}

// A single file that may be called anything: the name of the model is the file's.
RegistryModel lone_file(const fs::path& path) {
  RegistryModel model;
  model.name = path.stem().string();
  model.path = path.string();
  model.format = path.extension() == ".safetensors" ? "safetensors" : "gguf";
  model.quantization = quant_of_name(path.filename().string());
  std::error_code ignored;
  model.bytes = fs::file_size(path, ignored);
  model.files = {{path.string(), path.filename().string(), model.bytes, ""}};
  return model;
}

ImportFound user_models(const fs::path& path) {
  ImportFound out{.kind = is_folder(path) ? "folder" : "file", .models = {}, .problems = {}};
  if (is_folder(path)) {
    out.models = models_in_folder(path);
    for (RegistryModel& model : out.models)
      model.name = fs::path(model.path == path ? path.filename() : fs::path(model.path).stem()).string();
  } else {
    // A part of a split model stands for all of it.
    const auto has_the_file = [&](const RegistryModel& model) {
      return std::any_of(model.files.begin(), model.files.end(),
                         [&](const RegistryFile& file) { return file.path == path; });
    };
    if (const auto shard = parse_shard_name(path.filename().string()))
      for (RegistryModel& model : models_in_folder(path.parent_path(), false))
        if (model.format == "gguf" && has_the_file(model)) {
          model.name = shard->prefix;
          out.models = {std::move(model)};
          break;
        }
    if (out.models.empty()) out.models = {lone_file(path)};
  }
  for (RegistryModel& model : out.models) model.source = "import";
  return out;
}

}  // namespace

Result<ImportFound> find_imports(const fs::path& path, const Places& places) {
  std::error_code problem;
  if (!fs::exists(path, problem)) {
    if (path == "ollama")
      return is_folder(places.ollama / "manifests")
                 ? Result(ollama_models(places.ollama))
                 : Error{Code::not_found, "ollama", "no store in " + places.ollama.string() + "; name its folder"};
    if (path == "lmstudio")
      return is_folder(places.lm_studio)
                 ? Result(lm_studio_models(places.lm_studio))
                 : Error{Code::not_found, "lmstudio", "no store in " + places.lm_studio.string() + "; name its folder"};
    return Error{Code::not_found, "", "no such file or folder", path.string()};
  }
  fs::path whole = fs::absolute(path, problem).lexically_normal();
  if (whole.filename().empty()) whole = whole.parent_path();
  if (is_folder(whole / "manifests") && is_folder(whole / "blobs")) return ollama_models(whole);
  ImportFound found = user_models(whole);
  // A folder whose models all lie two levels down, as ORG/REPO, is a store of LM Studio.
  if (found.kind == "folder") {
    ImportFound store = lm_studio_models(whole);
    if (!store.models.empty() && store.models.size() == found.models.size()) found = std::move(store);
  }
  if (found.models.empty())
    return Error{Code::missing, "", "holds no model: no .gguf file, and no config.json with safetensors beside it",
                 whole.string()};
  return found;
}

Result<> complete_import(RegistryModel& model, ProgressFn progress) {
  ASSAY_TRY(const ModelFile file, open_model(model.path));
  if (model.format.empty() || model.source == "import")
    model.format = file.is_mlx ? "mlx" : file.kind == FileKind::gguf ? "gguf" : "safetensors";
  for (RegistryFile& each : model.files)
    if (each.hash.empty()) {
      ASSAY_TRY(each.hash, sha256_of_file(each.path, model.is_weights(each) ? progress : ProgressFn(ignore_progress)));
    }
  return success();
}

Result<> check_name_is_free(Registry& registry, const RegistryModel& model) {
  ASSAY_TRY(const auto known, registry.find(model.name));
  if (known && known->is_here() && known->path != model.path)
    return Error{Code::duplicate, model.name,
                 "another model has this name (" + known->path + "); give one with --as NAME"};
  return success();
}

}  // namespace assay
