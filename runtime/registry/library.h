// Library: catalogue, registry and caches together: what a model argument means, and where that model is.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/hub/source.h"
#include "runtime/registry/catalogue.h"
#include "runtime/registry/places.h"
#include "runtime/registry/registry.h"

namespace assay {

struct LocatedModel {
  std::filesystem::path path;  // for open_model()
  std::string name;            // in the registry or the catalogue; empty for a path of the user's
};

// Whether a text can only be meant as a file's name: "/x", "./x", "x/", "x.gguf".
bool is_path_like(std::string_view text);

class Library {
 public:
  // Reads the catalogue, opens the registry and reconciles it with the disk. Errors: those of Catalogue::open and
  // Registry::open.
  static Result<Library> open(const Places& places);

  // What the user must be told: a damaged database that was made anew. Each a sentence.
  const std::vector<std::string>& notes() const { return notes_; }
  const Places& places() const { return places_; }
  const Catalogue& catalogue() const { return catalogue_; }
  Registry& registry() { return registry_; }

  // The model that a name means: an existing path (unless it begins with "hf:"), a catalogue id, a registry name, or
  // ORG/REPO[:QUANT] in the cache (default Q4_K_M, then Q8_0, then the only one). Errors: not_found, which says how to
  // get it; unsupported for rows that cannot be had; usage when several fit.
  Result<LocatedModel> find(std::string_view argument);

  // The catalogue id or registry name that stands for "no model named": the selected one, else the recommended one.
  Result<std::string> default_model();

  // Walks the caches again; after a download.
  Result<Registry::Reconciled> reconcile();

 private:
  Library(Places places, Catalogue catalogue, Registry registry)
      : places_(std::move(places)), catalogue_(std::move(catalogue)), registry_(std::move(registry)) {}
  Result<LocatedModel> find_row(const CatalogueRow& row);
  Result<LocatedModel> find_repository(const HubSource& source, std::string_view argument);

  Places places_;
  Catalogue catalogue_;
  Registry registry_;
  std::vector<std::string> notes_;
};

}  // namespace assay
