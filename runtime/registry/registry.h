// Registry: which models are here, which one is selected, how they came and how often they were used.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/describe.h"
#include "runtime/core/error.h"
#include "runtime/registry/database.h"

namespace assay {

enum class ModelStatus : std::uint8_t {
  downloading,  // a process is at it
  downloaded,   // whole on the disk
  failed,       // a download ended early; pulling again goes on
  stale         // it was here, and its files are gone or changed
};
inline constexpr std::array<std::string_view, 4> kModelStatusNames = {"downloading", "downloaded", "failed", "stale"};
constexpr std::span<const std::string_view> enum_names(ModelStatus) {
  return kModelStatusNames;
}
constexpr std::string_view name_of(ModelStatus status) {
  return kModelStatusNames[static_cast<std::size_t>(status)];
}

struct RegistryFile {
  std::string path;  // absolute
  std::string name;  // in its repository, "model-00001-of-00002.safetensors"
  std::uint64_t bytes = 0;
  std::string hash;  // 64 hex digits: SHA-256; 40: the git hash of a small file; empty: not known

  static constexpr void fields(auto visit) {
    using F = RegistryFile;
    constexpr Better none = Better::none;
    visit("path", "", none, &F::path);
    visit("name", "", none, &F::name);
    visit("bytes", "B", none, &F::bytes);
    visit("hash", "", none, &F::hash);
  }
  bool has_sha256() const { return hash.size() == 64; }
};

struct RegistryModel {
  std::string name;        // unique, not sensitive to case: a catalogue id, "ORG/REPO:Q4_K_M", or as imported
  std::string source;      // "hub", "url", "import", "ollama", "lmstudio"
  std::string repository;  // "ORG/REPO"
  std::string commit, revision;
  std::string path;    // what open_model() takes
  std::string format;  // "gguf", "safetensors", "mlx"
  std::string quantization;
  std::uint64_t bytes = 0;
  ModelStatus status = ModelStatus::downloaded;
  std::string reason;
  std::string added;  // UTC
  std::uint64_t uses = 0;
  std::string last_used;
  bool selected = false;
  std::vector<RegistryFile> files;

  static constexpr void fields(auto visit) {
    using M = RegistryModel;
    constexpr Better none = Better::none;
    visit("name", "", none, &M::name);
    visit("source", "", none, &M::source);
    visit("repository", "", none, &M::repository);
    visit("commit", "", none, &M::commit);
    visit("revision", "", none, &M::revision);
    visit("path", "", none, &M::path);
    visit("format", "", none, &M::format);
    visit("quantization", "", none, &M::quantization);
    visit("bytes", "B", none, &M::bytes);
    visit("status", "", none, &M::status);
    visit("reason", "", none, &M::reason);
    visit("added", "", none, &M::added);
    visit("uses", "", none, &M::uses);
    visit("last_used", "", none, &M::last_used);
    visit("selected", "", none, &M::selected);
    visit("files", "", none, &M::files);
  }
  bool is_here() const { return status == ModelStatus::downloaded; }
  bool is_weights(const RegistryFile& file) const { return format == "gguf" || file.name.ends_with(".safetensors"); }
  // What results are recorded under: the SHA-256 of the weights, of several files the one over theirs (64 digits and a
  // line end each). Empty when one is not known.
  std::string weights_hash() const;
};

// One ended attempt to get a model.
struct DownloadRecord {
  std::string model, repository, commit;
  std::string started;  // UTC
  double seconds = 0;
  std::uint64_t bytes = 0;  // over the network
  std::string outcome;      // "downloaded", "failed", "interrupted"
  std::string detail;

  static constexpr void fields(auto visit) {
    using D = DownloadRecord;
    constexpr Better none = Better::none;
    visit("model", "", none, &D::model);
    visit("repository", "", none, &D::repository);
    visit("commit", "", none, &D::commit);
    visit("started", "", none, &D::started);
    visit("seconds", "s", none, &D::seconds);
    visit("bytes", "B", none, &D::bytes);
    visit("outcome", "", none, &D::outcome);
    visit("detail", "", none, &D::detail);
  }
};

class Registry {
 public:
  // Opens home/assay.db. A damaged one is moved aside (moved_aside() then names it) and an empty one made; reconcile()
  // fills it from the disk. Errors: io, unsupported (made by a newer version).
  static Result<Registry> open(const std::filesystem::path& home);
  const std::filesystem::path& moved_aside() const { return moved_aside_; }

  // All models, by name; with their files.
  Result<std::vector<RegistryModel>> models();
  Result<std::optional<RegistryModel>> find(std::string_view name);

  // Adds the model or replaces what is known of it; its use counts and the selection stay.
  Result<> put(const RegistryModel& model);
  // Errors: not_found.
  Result<> remove(std::string_view name);

  // A download in this process: recorded as such until end_download() or until this process is gone. A model that is
  // here already, and gets a newer snapshot, stays what it is meanwhile.
  Result<> begin_download(const RegistryModel& model);
  // Records the attempt; the model becomes what `status` says.
  Result<> end_download(const DownloadRecord& record, ModelStatus status);
  Result<std::vector<DownloadRecord>> downloads();

  Result<> note_use(std::string_view name);

  // The name chosen with `assay use`; empty when none is.
  Result<std::string> selected();
  Result<> select(std::string_view name);

  // Brings the records in line with the disk in one transaction: `found` is what the cache holds now (source "hub" and
  // "url"); models of those sources that are not among it are dropped or, when they were complete before, become stale;
  // files of imported models are looked at; downloads of processes that are gone become failed.
  struct Reconciled {
    std::size_t added = 0, changed = 0, stale = 0;
  };
  Result<Reconciled> reconcile(const std::vector<RegistryModel>& found);

 private:
  explicit Registry(Database database) : database_(std::move(database)) {}
  Result<> write(const RegistryModel& model, std::string_view holder);
  Result<> read_files(std::vector<RegistryModel>& models);
  Result<> forget(const std::string& name, const std::string& heir);

  Database database_;
  std::filesystem::path moved_aside_;
};

// Opens home/assay.db with every migration, after moving a damaged one (and its -wal and -shm) aside. Several processes
// may do this at once: one of them moves. `moved_aside` is empty when nothing was wrong.
struct OpenedDatabase {
  Database database;
  std::filesystem::path moved_aside;
};
Result<OpenedDatabase> open_or_replace_database(const std::filesystem::path& home);

}  // namespace assay
