// Listing: catalogue and registry as one list of models, as `assay list` shows it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/registry/library.h"

namespace assay {

struct ListedModel {
  std::string name;    // what commands take
  std::string title;   // for people
  std::string status;  // bundled, available, unavailable, downloading, downloaded, failed, stale
  std::string reason;  // where the status has one
  std::uint64_t bytes = 0;
  std::uint64_t parameters = 0;   // 0: not known
  std::optional<SizeClass> size;  // of rows of the catalogue
  std::string format, quantization, repository, commit, licence;
  std::vector<std::string> tags;
  std::uint64_t memory_bytes = 0;  // to run; 0: not known
  std::optional<bool> fits;        // in this machine's memory
  std::optional<bool> runs_here;   // this build computes its architecture
  bool selected = false, recommended = false;
  std::string path;  // of what is here
  std::uint64_t uses = 0;
  std::string last_used;
  std::optional<double> decode_tps;  // last measured here

  static constexpr void fields(auto visit) {
    using L = ListedModel;
    constexpr Better none = Better::none;
    visit("name", "", none, &L::name);
    visit("title", "", none, &L::title);
    visit("status", "", none, &L::status);
    visit("reason", "", none, &L::reason);
    visit("bytes", "B", none, &L::bytes);
    visit("parameters", "", none, &L::parameters);
    visit("size", "", none, &L::size);
    visit("format", "", none, &L::format);
    visit("quantization", "", none, &L::quantization);
    visit("repository", "", none, &L::repository);
    visit("commit", "", none, &L::commit);
    visit("licence", "", none, &L::licence);
    visit("tags", "", none, &L::tags);
    visit("memory_bytes", "B", none, &L::memory_bytes);
    visit("fits", "", none, &L::fits);
    visit("runs_here", "", none, &L::runs_here);
    visit("selected", "", none, &L::selected);
    visit("recommended", "", none, &L::recommended);
    visit("path", "", none, &L::path);
    visit("uses", "", none, &L::uses);
    visit("last_used", "", none, &L::last_used);
    visit("decode_tps", "tok/s", none, &L::decode_tps);
  }
  bool is_here() const { return !path.empty(); }
};

struct ListFilter {
  std::optional<SizeClass> size{};
  std::string tag{};
  bool here_only = false;  // downloaded, imported or bundled
  bool fitting_only = false;
};

// What is here comes first, then the catalogue in its order. `memory_bytes` is what this machine has.
Result<std::vector<ListedModel>> list_models(Library& library, const ListFilter& filter, std::uint64_t memory_bytes);

// Bytes of all distinct files that the registry's models consist of.
std::uint64_t storage_of(const std::vector<RegistryModel>& models);

}  // namespace assay
