// The choice of files by format, name and glob.
#include "runtime/hub/select.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "runtime/core/json.h"
#include "runtime/formats/shard_name.h"
#include "runtime/hub/cache_layout.h"

namespace assay {

namespace {

constexpr const char* kIndex = "model.safetensors.index.json";
// What belongs beside safetensors weights when the repository has it.
constexpr std::array<std::string_view, 11> kCompanions = {"config.json",
                                                          "tokenizer.json",
                                                          "tokenizer_config.json",
                                                          "special_tokens_map.json",
                                                          "generation_config.json",
                                                          "chat_template.jinja",
                                                          "chat_template.json",
                                                          "tokenizer.model",
                                                          "vocab.json",
                                                          "merges.txt",
                                                          "added_tokens.json"};
constexpr std::array<std::string_view, 2> kDefaultQuants = {"Q4_K_M", "Q8_0"};

std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); });
  return out;
}

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}
std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash + 1);
}

const HubFile* find(const HubListing& listing, std::string_view path) {
  const auto found =
      std::find_if(listing.files.begin(), listing.files.end(), [&](const HubFile& file) { return file.path == path; });
  return found == listing.files.end() ? nullptr : &*found;
}

std::vector<std::string> names_of(const std::vector<HubFile>& files) {
  std::vector<std::string> names;
  for (const HubFile& file : files) names.push_back(file.path);
  return names;
}

std::string list_text(const std::vector<std::string>& names, std::size_t most = 12) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < most; ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > most ? text + ", ..." : text;
}

// "Q4_K_M", "IQ2_XXS", "F16", "BF16", "MXFP4", "TQ1_0"
bool is_quant(std::string_view token) {
  const std::string text = upper(token);
  for (const std::string_view start : {"IQ", "TQ", "Q", "BF", "F", "MXFP", "NVFP"})
    if (text.starts_with(start) && text.size() > start.size() &&
        std::isdigit(static_cast<unsigned char>(text[start.size()])) != 0)
      return true;
  return false;
}

bool is_weights_gguf(std::string_view path) {
  const std::string name = upper(base_name(path));
  return name.ends_with(".GGUF") && name.find("MMPROJ") == std::string::npos &&
         name.find("IMATRIX") == std::string::npos && !name.starts_with("MTP-");
}

// Adds a file, and the other parts when it is one of a split set. Every part must be there.
Result<> add_with_parts(const HubListing& listing, const HubFile& file, FileSelection& selection) {
  const auto shard = parse_shard_name(base_name(file.path));
  if (!shard) {
    selection.files.push_back(file);
    return success();
  }
  for (std::uint32_t number = 1; number <= shard->count; ++number) {
    const std::string path = std::string(folder_of(file.path)) + shard->part(number);
    const HubFile* part = find(listing, path);
    if (part == nullptr)
      return Error{Code::not_found, path,
                   "is a part of the model, and the repository " + listing.repository + " does not have it"};
    selection.files.push_back(*part);
  }
  return success();
}

// The first part of a set, or the file itself.
std::string first_part(std::string_view path) {
  const auto shard = parse_shard_name(base_name(path));
  return shard ? std::string(folder_of(path)) + shard->part(1) : std::string(path);
}

void add_when_there(const HubListing& listing, std::string_view path, FileSelection& selection) {
  if (const HubFile* file = find(listing, path)) selection.files.push_back(*file);
}

// One file for each GGUF model of the repository: the first part stands for its set.
std::vector<HubFile> gguf_models(const HubListing& listing) {
  std::vector<HubFile> models;
  for (const HubFile& file : listing.files) {
    const auto shard = parse_shard_name(base_name(file.path));
    if (is_weights_gguf(file.path) && (!shard || shard->number == 1)) models.push_back(file);
  }
  return models;
}

const HubFile* with_quant(const std::vector<HubFile>& models, std::string_view quant) {
  const HubFile* best = nullptr;
  for (const HubFile& model : models)
    if (names_quant(model.path, quant) && (best == nullptr || model.path.size() < best->path.size())) best = &model;
  return best;
}

Result<FileSelection> select_gguf(const HubListing& listing, const std::vector<HubFile>& models,
                                  const std::string& quant) {
  const HubFile* chosen = quant.empty() ? nullptr : with_quant(models, quant);
  if (quant.empty())
    for (const std::string_view each : kDefaultQuants)
      if (chosen == nullptr) chosen = with_quant(models, each);
  if (quant.empty() && chosen == nullptr && models.size() == 1) chosen = &models.front();
  if (chosen == nullptr) {
    std::vector<std::string> quants;
    for (const HubFile& model : models) {
      const std::string name = quant_of_name(base_name(model.path));
      quants.push_back(name.empty() ? model.path : name);
    }
    const std::string what = quant.empty() ? "has no Q4_K_M and no Q8_0; choose one" : "has no quantisation " + quant;
    return Error{Code::not_found, listing.repository,
                 what + ": it has " + list_text(quants) + " (ORG/REPO:QUANT or ORG/REPO/FILE)"};
  }
  FileSelection selection{.files = {}, .model = first_part(chosen->path), .is_model = true, .index = ""};
  add_when_there(listing, "config.json", selection);
  ASSAY_TRY_VOID(add_with_parts(listing, *chosen, selection));
  return selection;
}

// A folder of safetensors: configuration and tokenizer beside the weights.
Result<FileSelection> select_folder(const HubListing& listing) {
  FileSelection selection{.files = {}, .model = "", .is_model = true, .index = ""};
  if (find(listing, "config.json") == nullptr)
    return Error{Code::not_found, listing.repository,
                 "has safetensors weights and no config.json, without which they cannot be opened; name a file "
                 "(ORG/REPO/FILE) or use --all"};
  for (const std::string_view name : kCompanions) add_when_there(listing, name, selection);
  if (find(listing, kIndex) != nullptr) {
    selection.index = kIndex;
    add_when_there(listing, kIndex, selection);
    return selection;
  }
  const std::size_t before = selection.files.size();
  for (const HubFile& file : listing.files)
    if (file.path.find('/') == std::string::npos && file.path.starts_with("model") &&
        file.path.ends_with(".safetensors"))
      selection.files.push_back(file);
  if (selection.files.size() > before) return selection;
  std::vector<HubFile> others;
  for (const HubFile& file : listing.files)
    if (file.path.find('/') == std::string::npos && file.path.ends_with(".safetensors")) others.push_back(file);
  if (others.size() != 1)
    return Error{Code::not_found, listing.repository,
                 "has several safetensors files and none named model.safetensors: name one (ORG/REPO/FILE): " +
                     list_text(names_of(others))};
  selection.files.push_back(others.front());
  return selection;
}

Result<FileSelection> select_file(const HubListing& listing, const std::string& path) {
  const HubFile* file = find(listing, path);
  if (file == nullptr) {
    const std::vector<std::string> near = nearest_names(path, names_of(listing.files));
    return Error{Code::not_found, listing.repository + "/" + path,
                 "is not in the repository" + (near.empty() ? "; it has " + list_text(names_of(listing.files))
                                                            : "; did you mean " + list_text(near) + "?")};
  }
  FileSelection selection{.files = {}, .model = first_part(path), .is_model = is_weights_gguf(path), .index = ""};
  ASSAY_TRY_VOID(add_with_parts(listing, *file, selection));
  return selection;
}

bool matches_any(const std::vector<std::string>& globs, std::string_view path) {
  return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
    return matches_glob(glob.ends_with('/') ? glob + "*" : glob, path);
  });
}

Result<FileSelection> select_globs(const HubListing& listing, const FileChoice& choice) {
  FileSelection selection;
  for (const HubFile& file : listing.files)
    if ((choice.include.empty() || matches_any(choice.include, file.path)) && !matches_any(choice.exclude, file.path))
      selection.files.push_back(file);
  if (selection.files.empty())
    return Error{Code::not_found, listing.repository,
                 "has no file that matches; it has " + list_text(names_of(listing.files))};
  const std::vector<HubFile> models = gguf_models({listing.repository, listing.commit, selection.files});
  if (models.size() == 1) selection.model = models.front().path;
  return selection;
}

Result<FileSelection> select_by_format(const HubListing& listing, const HubSource& source) {
  const std::vector<HubFile> models = gguf_models(listing);
  if (!models.empty()) return select_gguf(listing, models, source.quant);
  const auto has = [&](std::string_view ending) {
    return std::any_of(listing.files.begin(), listing.files.end(),
                       [&](const HubFile& file) { return file.path.ends_with(ending); });
  };
  if (has(".safetensors")) {
    if (!source.quant.empty())
      return Error{Code::usage, source.text(),
                   "names a quantisation, and the repository has no GGUF files to choose from; leave ':" +
                       source.quant + "' away"};
    return select_folder(listing);
  }
  if (has(".pte"))
    return Error{Code::unsupported, listing.repository,
                 "has ExecuTorch programs (.pte) only, which Assay does not run; look for a GGUF of the same model"};
  return Error{Code::not_found, listing.repository,
               "has no GGUF and no safetensors file: it has " + list_text(names_of(listing.files)) +
                   "; use --include or --all to fetch them anyway"};
}

}  // namespace

std::string quant_of_name(std::string_view file_name) {
  if (const std::size_t end = file_name.rfind('.'); end != std::string_view::npos) file_name = file_name.substr(0, end);
  std::string found;
  while (!file_name.empty()) {
    const std::size_t end = std::min(file_name.find_first_of("-."), file_name.size());
    if (is_quant(file_name.substr(0, end))) found = file_name.substr(0, end);
    file_name.remove_prefix(std::min(end + 1, file_name.size()));
  }
  return found;
}

bool names_quant(std::string_view path, std::string_view quant) {
  const std::string name = upper(base_name(path)), wanted = upper(quant);
  for (std::size_t at = name.find(wanted); at != std::string::npos; at = name.find(wanted, at + 1)) {
    const std::size_t end = at + wanted.size();
    const bool begins = at == 0 || std::isalnum(static_cast<unsigned char>(name[at - 1])) == 0;
    if (begins && end < name.size() && (name[end] == '.' || name[end] == '-')) return true;
  }
  return false;
}

Result<FileSelection> select_files(const HubListing& listing, const HubSource& source, const FileChoice& choice) {
  Result<FileSelection> selection = source.kind == SourceKind::file ? select_file(listing, source.file)
                                    : choice.all || !choice.include.empty() || !choice.exclude.empty()
                                        ? select_globs(listing, choice)
                                        : select_by_format(listing, source);
  if (!selection) return selection;
  for (const HubFile& file : selection->files)
    if (const auto path = safe_path(file.path); !path) return path.error();
  std::stable_sort(selection->files.begin(), selection->files.end(),
                   [](const HubFile& a, const HubFile& b) { return a.size < (1 << 20) && b.size >= (1 << 20); });
  return selection;
}

Result<> add_shards(const HubListing& listing, std::string_view index_text, FileSelection& selection) {
  ASSAY_TRY(const Json index, parse_json(index_text, {.max_depth = 8, .max_tree_bytes = std::size_t{1} << 30}));
  const Json* map = index.find("weight_map");
  if (map == nullptr || !map->is_object())
    return Error{Code::malformed, selection.index, "has no weight_map: it says nothing of where the weights are"};
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : *map->object()) {
    if (shard.string() == nullptr)
      return Error{Code::malformed, selection.index, "names no file for " + tensor.substr(0, 100)};
    shards.insert(*shard.string());
  }
  for (const std::string& shard : shards) {
    if (const auto path = safe_path(shard); !path) return path.error();
    const HubFile* file = find(listing, shard);
    if (file == nullptr)
      return Error{Code::not_found, shard,
                   "holds weights by the index, and the repository " + listing.repository + " does not have it"};
    selection.files.push_back(*file);
  }
  return success();
}

}  // namespace assay
