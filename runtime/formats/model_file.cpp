// open_model: looks at what is there, calls the parser for it, joins what belongs together.
#include "runtime/formats/model_file.h"

#include <array>
#include <system_error>

#include "runtime/core/assert.h"
#include "runtime/formats/model_parts.h"
#include "runtime/formats/safetensors.h"
#include "runtime/formats/shard_name.h"
#include "runtime/formats/sniff.h"

namespace assay {

namespace fs = std::filesystem;

std::string_view name_of(FileKind kind) {
  constexpr std::array<std::string_view, 3> kNames = {"GGUF", "safetensors", "sharded safetensors"};
  return kNames[static_cast<std::size_t>(kind)];
}

const TensorView* ModelFile::find(std::string_view name) const {
  const auto found = index.find(name);
  return found == index.end() ? nullptr : &tensors[found->second];
}

std::uint64_t ModelFile::file_bytes() const {
  std::uint64_t total = 0;
  for (const MappedFile& file : files) total += file.bytes().size();
  return total;
}

namespace opening {

std::string file_name_of(const fs::path& path) {
  return path.filename().string();
}

void report_error(const Error& error, std::string rule, Reporter& report) {
  report.error({.rule = std::move(rule),
                .code = error.code,
                .file = error.file,
                .offset = error.offset,
                .subject = error.subject,
                .message = error.detail});
}

bool map_file(const fs::path& path, Reporter& report, ModelFile& model) {
  auto file = MappedFile::open(path);
  if (!file) return report_error(file.error(), "file.open", report), false;
  model.files.push_back(std::move(*file));
  return true;
}

namespace {
// Enough for every real config.json and index; text that asks for more than that and a few times its size is hostile.
constexpr std::size_t kUsualTreeBytes = std::size_t{64} << 20;
}  // namespace

std::optional<Json> read_json_file(const fs::path& path, std::string_view rule, Reporter& report) {
  const auto file = MappedFile::open(path);
  if (!file) return report_error(file.error(), "file.open", report), std::nullopt;
  const Bytes bytes = file->bytes();
  auto json =
      bytes.size() > kSafetensorsMaxHeader
          ? Result<Json>(Error{Code::range, "",
                               "the file has " + std::to_string(bytes.size()) + " bytes, far more than any such file"})
          : parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                       {.max_tree_bytes = kUsualTreeBytes + 4 * bytes.size()});
  if (json && json->is_object()) return std::move(*json);
  report.error(
      {.rule = std::string(rule),
       .code = Code::malformed,
       .file = path.string(),
       .offset = json ? std::optional<std::uint64_t>(0) : json.error().offset,
       .subject = file_name_of(path),
       .message = json ? "the file is not a JSON object" : "the file is not valid JSON: " + json.error().detail,
       .advice = std::string(kDownloadAgain)});
  return std::nullopt;
}

bool add_safetensors(const fs::path& path, Reporter& report, ModelFile& model) {
  if (!map_file(path, report, model)) return false;
  const std::uint32_t number = static_cast<std::uint32_t>(model.files.size() - 1);
  auto contents = parse_safetensors(model.files.back().bytes(), path.string(), report.sink());
  if (!contents) return false;
  if (number == 0) model.annotations = std::move(contents->annotations);
  for (TensorView& tensor : contents->tensors) {
    tensor.file = number;
    model.tensors.push_back(std::move(tensor));
  }
  return true;
}

bool read_config(Reporter& report, ModelFile& model) {
  const fs::path path = model.folder / "config.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return true;
  auto config = read_json_file(path, "config.json", report);
  if (!config) return false;
  model.config = std::move(*config);
  return true;
}

namespace {

bool open_file(const fs::path& path, Reporter& report, ModelFile& model);

bool open_folder(const fs::path& path, Reporter& report, ModelFile& model) {
  model.folder = path;
  const auto weights = choose_weights(path, report);
  if (!weights) return false;
  return weights->size() == 1 ? open_file(weights->front(), report, model) : open_shard_set(*weights, report, model);
}

bool open_json(const fs::path& path, Reporter& report, ModelFile& model) {
  auto json = read_json_file(path, "file.json", report);
  if (!json) return false;
  if (json->find("weight_map") != nullptr || file_name_of(path).ends_with(".index.json"))
    return open_shard_index(path, report, model);
  if (json->find("architectures") == nullptr && json->find("model_type") == nullptr) {
    const Json* error = json->find("error");
    const std::string said =
        error != nullptr && error->string() != nullptr ? " (it says \"" + printable(*error->string()) + "\")" : "";
    report.error({.rule = "file.json",
                  .code = Code::unsupported,
                  .message = "this is a JSON file without weights" + said,
                  .advice = "name a .gguf or .safetensors file, a .safetensors.index.json or a model folder"});
    return false;
  }
  return open_folder(model.folder, report, model);
}

// One file that the user, or the choice in a folder, named.
bool open_file(const fs::path& path, Reporter& report, ModelFile& model) {
  model.folder = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  const auto file = MappedFile::open(path);
  if (!file) return report_error(file.error(), "file.open", report), false;
  Sniffed found = sniff(file->bytes(), file_name_of(path));
  switch (found.content) {
    case Content::gguf:
      return open_gguf(path, report, model);
    case Content::safetensors:
      return open_safetensors(path, report, model);
    case Content::json:
      return open_json(path, report, model);
    case Content::refused:
      break;
  }
  found.refusal->file = path.string();
  report.error(std::move(*found.refusal));
  return false;
}

bool open_path(const fs::path& path, Reporter& report, ModelFile& model) {
  std::error_code problem;
  const fs::file_status status = fs::status(path, problem);
  if (!fs::exists(status)) {
    report.error({.rule = "file.missing",
                  .code = Code::not_found,
                  .message = "no such file or folder",
                  .advice = "check the path"});
    return false;
  }
  if (fs::is_regular_file(status)) return open_file(path, report, model);
  if (!fs::is_directory(status)) {
    report.error({.rule = "file.kind",
                  .code = Code::unsupported,
                  .message = "neither a file nor a folder",
                  .advice = "models are mapped into memory, so they must lie on disk: name a file or folder"});
    return false;
  }
  return open_folder(path, report, model);
}

void build_index(ModelFile& model) {
  model.index.reserve(model.tensors.size());
  for (std::size_t i = 0; i < model.tensors.size(); ++i) model.index.emplace(model.tensors[i].name, i);
}

}  // namespace
}  // namespace opening

std::optional<ModelFile> open_model(const fs::path& path, FindingSink& sink) {
  Reporter report(sink, path.string());
  ModelFile model;
  model.path = path;
  if (!opening::open_path(path, report, model)) return std::nullopt;
  if (model.kind != FileKind::gguf &&
      (!opening::read_config(report, model) || !opening::join_side_scales(report, model)))
    return std::nullopt;
  opening::build_index(model);
  return model;
}

namespace {

// Piece by piece, the next one asked for before one is waited for.
void preload(const MappedFile& file) {
  constexpr std::uint64_t kPiece = 8 << 20;
  file.walk_ahead(0, kPiece);
  for (std::uint64_t at = 0; at < file.bytes().size(); at += kPiece) {
    file.walk_ahead(at + kPiece, kPiece);
    file.map_in(at, kPiece);
  }
}

}  // namespace

Result<> load_files(ModelFile& model, const Loading& loading) {
  for (MappedFile& file : model.files) {
    if (loading.copy) ASSAY_TRY_VOID(file.copy_into_memory());
    if (loading.preload && !loading.copy) preload(file);
    if (loading.lock) ASSAY_TRY_VOID(file.lock());
  }
  return success();
}

Result<ModelFile> open_model(const fs::path& path) {
  FirstError sink;
  auto model = open_model(path, sink);
  if (sink.error()) return *sink.error();
  ASSAY_CHECK(model.has_value());
  return std::move(*model);
}

}  // namespace assay
