// Copies through OutputFile, so that half a file never has a name.
#include "runtime/registry/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "runtime/core/mapped_file.h"
#include "runtime/core/sha256.h"
#include "runtime/formats/output_file.h"
#include "runtime/hub/cache_layout.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPiece = 8 << 20;

// One source for both ways: bytes are read, hashed, and written when there is somewhere to write to.
Result<std::string> pass_through(const RegistryFile& file, OutputFile* out, std::uint64_t done, std::uint64_t total,
                                 ProgressFn progress) {
  ASSAY_TRY(const MappedFile source, MappedFile::open(file.path));
  Sha256 hash;
  const Bytes bytes = source.bytes();
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    const Bytes piece = bytes.subspan(at, std::min(kPiece, bytes.size() - at));
    hash.update(piece);
    if (out != nullptr) ASSAY_TRY_VOID(out->write(piece));
    if (!progress({.task = file.name, .unit = ProgressUnit::bytes, .done = done + at + piece.size(), .total = total}))
      return Error{Code::interrupted, "export", "stopped"};
  }
  ASSAY_TRY_VOID(source.check_unchanged());
  return hash.finish();
}

Result<std::string> export_file(const RegistryFile& file, const fs::path& target, const ExportOptions& options,
                                std::uint64_t done, std::uint64_t total, ProgressFn progress) {
  std::error_code problem;
  const auto check = [&](const std::string& hash) -> Result<std::string> {
    if (file.has_sha256() && file.hash != hash)
      return Error{Code::mismatch, file.name,
                   "its SHA-256 is " + hash + " and " + file.hash + " was recorded; run: assay verify --repair",
                   file.path};
    return hash;
  };
  if (options.links) {
    ASSAY_TRY(const std::string hash, pass_through(file, nullptr, done, total, progress));
    ASSAY_TRY(std::string checked, check(hash));
    fs::remove(target, problem);
    fs::create_hard_link(fs::canonical(file.path, problem), target, problem);
    if (!problem) return checked;  // else a copy
  }
  ASSAY_TRY(OutputFile out, OutputFile::create(target, file.bytes));
  ASSAY_TRY(const std::string hash, pass_through(file, &out, done, total, progress));
  ASSAY_TRY(std::string checked, check(hash));
  ASSAY_TRY_VOID(out.commit());
  return checked;
}

// Blobs of ollama are called by their hash: "ollama/llama3.2:1b" becomes llama3.2-1b.gguf.
std::string ollama_file_name(std::string name) {
  name.erase(0, name.rfind('/') + 1);
  std::replace(name.begin(), name.end(), ':', '-');
  return name + ".gguf";
}

}  // namespace

Result<Exported> export_model(const RegistryModel& model, const fs::path& folder, const ExportOptions& options,
                              ProgressFn progress) {
  std::error_code problem;
  Exported out;
  // Every name is settled before the first byte is written.
  std::vector<fs::path> targets;
  for (const RegistryFile& file : model.files) {
    ASSAY_TRY(const fs::path name,
              safe_path(model.format == "gguf" && model.source == "ollama" ? ollama_file_name(model.name) : file.name));
    targets.push_back(folder / name.filename());
    if (!options.replaces && fs::exists(targets.back(), problem))
      return Error{Code::duplicate, "", "is there already; -f replaces it", targets.back().string()};
  }
  fs::create_directories(folder, problem);
  if (problem) return Error{Code::io, "", "cannot make the folder: " + problem.message(), folder.string()};
  std::string sums;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    RegistryFile file = model.files[i];
    ASSAY_TRY(file.hash, export_file(file, targets[i], options, out.bytes, model.bytes, progress));
    file.path = targets[i].string();
    out.bytes += file.bytes;
    sums += file.hash + "  " + targets[i].filename().string() + "\n";
    out.files.push_back(std::move(file));
  }
  ASSAY_TRY(OutputFile list, OutputFile::create(folder / "SHA256SUMS"));
  ASSAY_TRY_VOID(list.write(std::as_bytes(std::span(sums))));
  ASSAY_TRY_VOID(list.commit());
  return out;
}

}  // namespace assay
