// Where recorded hashes are found.
#include "runtime/validate/hashes.h"

#include <algorithm>
#include <cctype>
#include <fstream>

namespace assay::validation {

namespace {

namespace fs = std::filesystem;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  return out;
}

// The blob that a file of a snapshot links to is named by its hash.
std::string blob_name(const fs::path& file) {
  std::error_code problem;
  const fs::path target = fs::read_symlink(file, problem);
  if (problem || target.parent_path().filename() != "blobs") return "";
  const std::string name = target.filename().string();
  return is_sha256(name) ? lower(name) : "";
}

// .cache/huggingface/download/FILE.metadata: commit, etag, time. The etag of a large file is its hash.
std::string noted_hash(const fs::path& file) {
  const fs::path note =
      file.parent_path() / ".cache" / "huggingface" / "download" / (file.filename().string() + ".metadata");
  std::ifstream in(note);
  std::string commit, etag;
  if (!std::getline(in, commit) || !std::getline(in, etag)) return "";
  return is_sha256(etag) ? lower(etag) : "";
}

}  // namespace

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(),
                                          [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; });
}

Result<std::map<std::string, std::string>> read_sums(const fs::path& path) {
  ASSAY_TRY(const MappedFile file, MappedFile::open(path));
  std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  std::map<std::string, std::string> sums;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    if (line.size() < 67 || !is_sha256(line.substr(0, 64)) || line[64] != ' ' || (line[65] != ' ' && line[65] != '*'))
      return Error{Code::malformed, "line " + std::to_string(number),
                   "is not 64 hex digits, two spaces and a file name, as sha256sum writes it", path.string()};
    sums[fs::path(line.substr(66)).filename().string()] = lower(line.substr(0, 64));
  }
  return sums;
}

Result<std::vector<FileHash>> known_hashes(const ModelFile& model, const ValidateOptions& options) {
  std::vector<FileHash> hashes;
  for (const MappedFile& file : model.files) hashes.push_back({file.path(), "", "", ""});
  if (!options.sha256.empty()) {
    if (!is_sha256(options.sha256)) return Error{Code::usage, "--sha256", "needs 64 hex digits"};
    if (hashes.size() != 1)
      return Error{Code::usage, "--sha256",
                   "is for one file, and the model has " + std::to_string(hashes.size()) + "; use --sums FILE"};
    hashes[0].expected = lower(options.sha256);
    hashes[0].source = "--sha256";
    return hashes;
  }
  fs::path list = options.sums;
  std::error_code ignored;
  if (list.empty() && fs::is_regular_file(model.folder / "SHA256SUMS", ignored)) list = model.folder / "SHA256SUMS";
  std::map<std::string, std::string> sums;
  if (!list.empty()) {
    ASSAY_TRY(sums, read_sums(list));
  }
  for (FileHash& hash : hashes) {
    if (const auto known = options.known.find(hash.file.filename().string()); known != options.known.end())
      hash.expected = lower(known->second), hash.source = "the registry";
    else if (const auto listed = sums.find(hash.file.filename().string()); listed != sums.end())
      hash.expected = listed->second, hash.source = list.filename().string();
    else if (hash.expected = blob_name(hash.file); !hash.expected.empty())
      hash.source = "the name of its blob in the hub's cache";
    else if (hash.expected = noted_hash(hash.file); !hash.expected.empty())
      hash.source = "the hub's note beside it";
  }
  return hashes;
}

void report_hashes(Subject& subject, const std::vector<FileHash>& hashes) {
  for (const FileHash& hash : hashes) {
    const std::string name = hash.file.filename().string();
    if (hash.expected.empty())
      subject.remark({"hash.unknown", Code::missing, name,
                      "its SHA-256 is " + hash.sha256 + ", and nothing is recorded to compare it with",
                      "give --sha256, --sums FILE or a SHA256SUMS beside the file", std::nullopt, hash.file.string()});
    else if (hash.expected != hash.sha256)
      subject.remark({"hash.mismatch", Code::mismatch, name,
                      "its SHA-256 is " + hash.sha256 + ", and " + hash.source + " says " + hash.expected,
                      "the file is not the one that was recorded: download it again", std::nullopt,
                      hash.file.string()});
  }
}

}  // namespace assay::validation
