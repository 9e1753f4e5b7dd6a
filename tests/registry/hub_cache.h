// A Hugging Face cache made by hand, as its other clients leave it.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "runtime/core/sha256.h"
#include "tests/support/data.h"

namespace assay::test {

class HubCache {
 public:
  explicit HubCache(std::filesystem::path root) : root_(std::move(root)) {}
  const std::filesystem::path& root() const { return root_; }

  std::filesystem::path repository(const std::string& name) const {
    std::string folder = "models--" + name;
    folder.replace(folder.find('/'), 1, "--");
    return root_ / folder;
  }
  // A blob under its SHA-256, and a relative link to it. Returns the link.
  std::filesystem::path add(const std::string& name, const std::string& commit, const std::string& file,
                            const std::string& text) {
    const std::string hash = sha256_of(std::as_bytes(std::span(text)));
    const std::filesystem::path blob = repository(name) / "blobs" / hash,
                                link = repository(name) / "snapshots" / commit / file;
    std::filesystem::create_directories(blob.parent_path());
    std::filesystem::create_directories(link.parent_path());
    std::ofstream(blob, std::ios::binary) << text;
    std::filesystem::create_symlink(std::filesystem::relative(blob, link.parent_path()), link);
    return link;
  }
  std::filesystem::path add_file(const std::string& name, const std::string& commit, const std::string& file,
                                 const std::filesystem::path& source) {
    return add(name, commit, file, read_text(source));
  }
  void add_folder(const std::string& name, const std::string& commit, const std::filesystem::path& folder) {
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      add_file(name, commit, entry.path().filename(), entry.path());
  }
  void add_ref(const std::string& name, const std::string& revision, const std::string& commit) {
    const std::filesystem::path ref = repository(name) / "refs" / revision;
    std::filesystem::create_directories(ref.parent_path());
    std::ofstream(ref) << commit;
  }

 private:
  std::filesystem::path root_;
};

// A file of the smallest model, by its weight format: "Q8_0", "Q4_K_M" or "F16".
inline std::filesystem::path nano_gguf(const std::string& format) {
  return fixture("models/nano-frankenstein/gguf/nano-frankenstein-" + format + ".gguf");
}

// Writes over a few bytes in the middle of a model's file, links followed.
inline void damage(const std::filesystem::path& path) {
  std::fstream file(std::filesystem::canonical(path), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(300'000);
  file << "damage";
}

inline const std::string kCommitA(40, 'a'), kCommitB(40, 'b');

}  // namespace assay::test
