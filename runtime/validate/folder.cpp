// What lies beside the weights: half downloads, links that lead nowhere, shards the index does not know, pickles.
#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "runtime/validate/subject.h"

namespace assay::validation {

namespace {

namespace fs = std::filesystem;

bool ends_with_any(std::string_view name, std::span<const std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return name.ends_with(end); });
}

constexpr std::array<std::string_view, 7> kPartial = {".incomplete", ".downloadInProgress", ".partial", ".part",
                                                      ".aria2",      ".crdownload",         ".download"};
constexpr std::array<std::string_view, 5> kPickles = {".bin", ".pt", ".pth", ".pkl", ".ckpt"};

struct Entry {
  std::string name;
  bool is_broken_link = false;
};

std::vector<Entry> list(const fs::path& folder) {
  std::vector<Entry> out;
  std::error_code problem;
  for (fs::directory_iterator at(folder, problem), end; !problem && at != end && out.size() < 10000;
       at.increment(problem)) {
    std::error_code ignored;
    const bool is_link = at->is_symlink(ignored);
    if (at->is_directory(ignored)) continue;
    out.push_back({at->path().filename().string(), is_link && !fs::exists(at->path(), ignored)});
  }
  std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return out;
}

}  // namespace

void check_folder(Subject& subject) {
  const ModelFile& model = subject.model();
  // A lone file says nothing about its neighbours; a folder, an index and shards do.
  std::error_code ignored;
  if (!fs::is_directory(model.path, ignored) && model.kind != FileKind::sharded_safetensors) return;
  std::set<std::string> opened;
  for (const MappedFile& file : model.files) opened.insert(file.path().filename().string());
  std::string pickles;
  for (const Entry& entry : list(model.folder)) {
    const std::string path = (model.folder / entry.name).string();
    if (entry.is_broken_link)
      subject.remark({"folder.broken-link", Code::not_found, entry.name,
                      "the link leads nowhere: the file it stands for is gone", "download it again", std::nullopt,
                      path});
    else if (ends_with_any(entry.name, kPartial))
      subject.remark({"folder.partial-download", Code::truncated, entry.name,
                      "a download of this file has not finished", "finish or remove it", std::nullopt, path});
    else if (model.kind != FileKind::gguf && entry.name.ends_with(".safetensors") && entry.name.starts_with("model") &&
             !opened.contains(entry.name))
      subject.remark({"folder.stray-shard", Code::malformed, entry.name,
                      "the file is no part of this model, and readers that open every model*.safetensors mix it in",
                      "remove it from the folder", std::nullopt, path});
    else if (ends_with_any(entry.name, kPickles))
      pickles += (pickles.empty() ? "" : ", ") + printable(entry.name);
  }
  if (!pickles.empty())
    subject.remark({"folder.pickle", Code::unsupported, pickles,
                    "files of this kind can run code when other programs open them",
                    "Assay does not open them; remove what is not needed", std::nullopt, model.folder.string()});
}

}  // namespace assay::validation
