// Merges rows and records, and filters them.
#include "runtime/registry/listing.h"

#include <algorithm>
#include <set>

namespace assay {

namespace fs = std::filesystem;

namespace {

// A model of unknown shape needs its weights and about a quarter more for the cache and activations.
std::uint64_t estimated_memory(std::uint64_t bytes) {
  return bytes + bytes / 4;
}

void describe_row(ListedModel& out, const CatalogueRow& row) {
  out.title = row.name;
  out.parameters = row.parameters;
  out.size = row.size;
  out.licence = row.licence;
  out.tags = row.tags;
  out.recommended = row.recommended;
  out.memory_bytes = row.memory_bytes;
  if (!row.architecture.empty()) out.runs_here = row.runs_here();
  if (out.format.empty()) out.format = row.format;
  if (out.quantization.empty()) out.quantization = row.quantization;
  if (out.repository.empty()) out.repository = row.repository;
  if (out.bytes == 0) out.bytes = row.bytes;
}

ListedModel listed(const RegistryModel& model) {
  ListedModel out;
  out.name = out.title = model.name;
  out.status = name_of(model.status);
  out.reason = model.reason;
  out.bytes = model.bytes;
  out.format = model.format;
  out.quantization = model.quantization;
  out.repository = model.repository;
  out.commit = model.commit;
  out.memory_bytes = estimated_memory(model.bytes);
  out.selected = model.selected;
  out.uses = model.uses;
  out.last_used = model.last_used;
  if (model.is_here()) out.path = model.path;
  return out;
}

ListedModel listed(const CatalogueRow& row, const Places& places) {
  ListedModel out;
  out.name = row.id;
  out.status = enum_names(row.availability)[static_cast<std::size_t>(row.availability)];
  out.reason = row.reason;
  describe_row(out, row);
  if (row.availability != Availability::bundled) return out;
  std::error_code ignored;
  if (const fs::path path = places.fixtures / row.path; !places.fixtures.empty() && fs::exists(path, ignored)) {
    out.path = path.string();
  } else {
    out.status = "unavailable";
    out.reason = "comes with the source of assay, and fixtures/ is not above this program";
  }
  return out;
}

bool passes(const ListedModel& model, const ListFilter& filter) {
  if (filter.size && model.size != filter.size) return false;
  if (!filter.tag.empty() && std::find(model.tags.begin(), model.tags.end(), filter.tag) == model.tags.end())
    return false;
  if (filter.here_only && !model.is_here()) return false;
  return !filter.fitting_only || (model.fits.value_or(true) && model.status != "unavailable");
}

}  // namespace

Result<std::vector<ListedModel>> list_models(Library& library, const ListFilter& filter, std::uint64_t memory_bytes) {
  ASSAY_TRY(const std::vector<RegistryModel> records, library.registry().models());
  ASSAY_TRY(const std::string selected, library.registry().selected());
  std::vector<ListedModel> all;
  std::set<std::string> recorded;
  for (const RegistryModel& model : records) {
    ListedModel entry = listed(model);
    if (const CatalogueRow* row = library.catalogue().find(model.name)) {
      describe_row(entry, *row);
      recorded.insert(row->id);
    }
    all.push_back(std::move(entry));
  }
  for (const CatalogueRow& row : library.catalogue().rows())
    if (!recorded.contains(row.id)) all.push_back(listed(row, library.places()));
  std::vector<ListedModel> out;
  for (ListedModel& model : all) {
    if (model.name == selected) model.selected = true;
    if (model.memory_bytes > 0 && memory_bytes > 0) model.fits = model.memory_bytes <= memory_bytes;
    if (passes(model, filter)) out.push_back(std::move(model));
  }
  const auto rank = [](const ListedModel& model) {
    return model.status == "unavailable" ? 3 : model.status == "available" ? 2 : model.status == "bundled" ? 1 : 0;
  };
  std::stable_sort(out.begin(), out.end(),
                   [&](const ListedModel& a, const ListedModel& b) { return rank(a) < rank(b); });
  return out;
}

std::uint64_t storage_of(const std::vector<RegistryModel>& models) {
  std::set<std::string> seen;
  std::uint64_t bytes = 0;
  for (const RegistryModel& model : models)
    for (const RegistryFile& file : model.files) {
      std::error_code problem;
      const fs::path real = fs::canonical(file.path, problem);
      if (!problem && seen.insert(real.string()).second) bytes += file.bytes;
    }
  return bytes;
}

}  // namespace assay
