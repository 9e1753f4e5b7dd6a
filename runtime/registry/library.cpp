// The order in which a model's name is looked up.
#include "runtime/registry/library.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "runtime/registry/cached_models.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kHubPrefix = "hf:";

bool equals(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// Without a revision the newest is meant, whose name has no "@COMMIT".
bool is_revision(const RegistryModel& model, std::string_view revision) {
  if (revision.empty()) return model.name.find('@') == std::string::npos;
  return model.revision == revision || (revision.size() >= 7 && model.commit.starts_with(revision));
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

bool is_path_like(std::string_view text) {
  if (text.starts_with('/') || text.starts_with('.') || text.ends_with('/')) return true;
  const bool has_ending = text.ends_with(".gguf") || text.ends_with(".safetensors") || text.ends_with(".json");
  return has_ending && std::count(text.begin(), text.end(), '/') < 2;  // else it may be ORG/REPO/FILE
}

Result<Library> Library::open(const Places& places) {
  ASSAY_TRY(Catalogue catalogue, Catalogue::open(places.home / "catalogue.yaml"));
  ASSAY_TRY(Registry registry, Registry::open(places.home));
  Library out(places, std::move(catalogue), std::move(registry));
  ASSAY_TRY_VOID(out.reconcile());
  if (const fs::path& aside = out.registry_.moved_aside(); !aside.empty())
    out.notes_.push_back(
        fmt::format("the database was damaged: it is kept as {}, and a new one was made from the cache and the "
                    "results; the selected model, use counts and imported "
                    "models could not be taken over",
                    aside.string()));
  return out;
}

Result<Registry::Reconciled> Library::reconcile() {
  std::vector<RegistryModel> found = models_in_cache(places_.hub_cache, catalogue_);
  for (RegistryModel& model : models_of_urls(places_.url_files)) found.push_back(std::move(model));
  return registry_.reconcile(found);
}

Result<std::string> Library::default_model() {
  ASSAY_TRY(std::string name, registry_.selected());
  if (!name.empty()) return name;
  const CatalogueRow* row = catalogue_.recommended();
  if (row == nullptr)
    return Error{Code::missing, "model",
                 "none is named, none is selected (assay use ID) and the catalogue recommends none"};
  return row->id;
}

Result<LocatedModel> Library::find_row(const CatalogueRow& row) {
  ASSAY_TRY(const auto recorded, registry_.find(row.id));
  if (recorded && recorded->is_here()) return LocatedModel{recorded->path, recorded->name};
  if (row.availability == Availability::bundled) {
    std::error_code ignored;
    const fs::path path = places_.fixtures / row.path;
    if (!places_.fixtures.empty() && fs::exists(path, ignored)) return LocatedModel{path, row.id};
    return Error{Code::not_found, row.id,
                 "comes with the source of assay, and fixtures/ is not above this program; name the file"};
  }
  if (row.availability == Availability::unavailable) return row.refusal();
  if (recorded && recorded->status == ModelStatus::stale)
    return Error{Code::not_found, row.id,
                 recorded->reason + "; get it again with: assay pull " + row.id + " (or --pull)"};
  if (recorded && recorded->status == ModelStatus::downloading)
    return Error{Code::not_found, row.id,
                 "is being downloaded by another process; wait for it, or run: assay pull " + row.id};
  return Error{Code::not_found, row.id,
               "is in the catalogue and not here; get it with: assay pull " + row.id + " (or --pull)"};
}

Result<LocatedModel> Library::find_repository(const HubSource& source, std::string_view argument) {
  ASSAY_TRY(const std::vector<RegistryModel> all, registry_.models());
  std::vector<const RegistryModel*> there;
  for (const RegistryModel& model : all)
    if (model.is_here() && equals(model.repository, source.repository) && is_revision(model, source.revision))
      there.push_back(&model);
  const auto with = [&](std::string_view quantization) -> const RegistryModel* {
    const auto found = std::find_if(there.begin(), there.end(), [&](const RegistryModel* model) {
      return equals(model->quantization, quantization);
    });
    return found == there.end() ? nullptr : *found;
  };
  const RegistryModel* found = nullptr;
  if (!source.file.empty()) {
    for (const RegistryModel* model : there)
      if (!model->files.empty() && model->files.front().name == source.file) found = model;
  } else if (!source.quant.empty()) {
    found = with(source.quant);
  } else {
    found = with("Q4_K_M");
    if (found == nullptr) found = with("Q8_0");
    if (found == nullptr && there.size() == 1) found = there.front();
    if (found == nullptr && there.size() > 1) {
      std::vector<std::string> names;
      for (const RegistryModel* model : there) names.push_back(model->name);
      return Error{Code::usage, std::string(argument), "several of its models are here; name one of " + joined(names)};
    }
  }
  if (found != nullptr) return LocatedModel{found->path, found->name};
  return Error{Code::not_found, std::string(argument),
               fmt::format("is no file here and not in the cache; get it with: assay pull {} (or --pull)", argument)};
}

Result<LocatedModel> Library::find(std::string_view argument) {
  std::error_code ignored;
  const bool is_forced = argument.starts_with(kHubPrefix);
  if (argument.empty()) return Error{Code::usage, "model", "is empty; name a path, a catalogue id or ORG/REPO"};
  if (!is_forced && fs::exists(argument, ignored)) return LocatedModel{fs::path(argument), ""};
  if (const CatalogueRow* row = is_forced ? nullptr : catalogue_.find(argument)) return find_row(*row);
  ASSAY_TRY(const auto recorded, is_forced ? Result(std::optional<RegistryModel>()) : registry_.find(argument));
  if (recorded && recorded->is_here()) return LocatedModel{recorded->path, recorded->name};
  if (recorded && recorded->status == ModelStatus::stale)
    return Error{Code::not_found, std::string(argument), recorded->reason};
  if (const auto source = parse_source(argument);
      source && source->kind != SourceKind::url && (!is_path_like(argument) || is_forced))
    return find_repository(*source, argument);
  if (is_path_like(argument)) return Error{Code::not_found, "", "no such file or folder", std::string(argument)};
  return Error{Code::not_found, std::string(argument),
               "is no file, no catalogue id and no ORG/REPO" + catalogue_.suggestion(argument) +
                   "; assay list shows what there is"};
}

}  // namespace assay
