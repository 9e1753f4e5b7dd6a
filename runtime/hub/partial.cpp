// The journal of a partial file, read and written.
#include "runtime/hub/partial.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <mutex>

#include "runtime/core/json.h"
#include "runtime/hub/disk.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

constexpr const char* kSchema = "assay.partial.v1";

fs::path journal_of(const fs::path& data) {
  return data.string() + ".json";
}

std::string boot_id() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(in, id);
  return id;
}

Json pair_of(Range range) {
  return Json(Json::Array{Json(range.begin), Json(range.end)});
}

std::optional<Range> range_of(const Json& value) {
  const Json::Array* pair = value.array();
  if (pair == nullptr || pair->size() != 2) return std::nullopt;
  const auto begin = (*pair)[0].unsigned_integer(), end = (*pair)[1].unsigned_integer();
  if (!begin || !end || *begin > *end) return std::nullopt;
  return Range{*begin, *end};
}

std::string synced_line(const RangeSet& ranges) {
  Json list = Json::Array{};
  for (const Range range : ranges.list()) list.push(pair_of(range));
  Json line;
  return to_text(line.set("synced", std::move(list))) + "\n";
}

struct Journal {
  PartialIdentity identity;
  std::string boot;
  RangeSet written{}, synced{};
  bool is_committed = false;
};

// Adds a line; false where the journal's usable part ends.
bool add_line(Journal& journal, const std::string& text) {
  const auto line = parse_json(text);
  if (!line) return false;
  if (const Json* written = line->find("written")) {
    const auto range = range_of(*written);
    if (range) journal.written.add(*range);
    return range.has_value();
  }
  if (line->find("committed") != nullptr) return journal.is_committed = true;
  const Json* synced = line->find("synced");
  if (synced == nullptr || synced->array() == nullptr) return false;
  RangeSet ranges;
  for (const Json& each : *synced->array()) {
    const auto range = range_of(each);
    if (!range) return false;
    ranges.add(*range);
    journal.written.add(*range);
  }
  journal.synced = std::move(ranges);
  return true;
}

std::optional<Journal> read_journal(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text;
  if (!std::getline(in, text)) return std::nullopt;
  const auto head = parse_json(text);
  if (!head) return std::nullopt;
  const Json *schema = head->find("schema"), *etag = head->find("etag"), *size = head->find("size"),
             *url = head->find("url"), *boot = head->find("boot");
  if (!schema || !schema->string() || *schema->string() != kSchema || !etag || !etag->string() || !size ||
      !size->unsigned_integer())
    return std::nullopt;
  Journal journal{.identity = {*etag->string(), *size->unsigned_integer(), url && url->string() ? *url->string() : ""},
                  .boot = boot && boot->string() ? *boot->string() : ""};
  // The last line may have been cut off in the middle.
  while (std::getline(in, text) && !in.eof() && add_line(journal, text)) {
  }
  return journal;
}

// What can be relied on: the journal's word, as far as the file reaches.
RangeSet trusted(const Journal& journal, std::uint64_t file_bytes) {
  const std::string boot = boot_id();
  RangeSet ranges = !boot.empty() && boot == journal.boot ? journal.written : journal.synced;
  ranges.remove({std::min(file_bytes, journal.identity.size), ~std::uint64_t{0}});
  return ranges;
}

Result<> write_all(int descriptor, const fs::path& path, std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return disk_error(path, "cannot write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return success();
}

}  // namespace

struct PartialFile::State {
  fs::path data;
  PartialIdentity identity;
  int file = -1, journal = -1;
  mutable std::mutex mutex;
  RangeSet have;

  State(fs::path path, PartialIdentity whose) : data(std::move(path)), identity(std::move(whose)) {}
  ~State() { close_all(); }
  State(const State&) = delete;
  void close_all() {
    if (file >= 0) ::close(file);
    if (journal >= 0) ::close(journal);
    file = journal = -1;
  }
  Result<> begin_journal();
};

// A fresh journal under the right name at once: the head and what is there, which is on the disk by now.
Result<> PartialFile::State::begin_journal() {
  Json head;
  head.set("schema", kSchema).set("etag", identity.etag).set("size", identity.size);
  head.set("url", identity.url).set("boot", boot_id());
  ASSAY_TRY_VOID(write_whole(journal_of(data), to_text(head) + "\n" + synced_line(have), true));
  if (journal >= 0) ::close(journal);
  journal = ::open(journal_of(data).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (journal < 0) return disk_error(journal_of(data), "cannot be opened", errno);
  return success();
}

PartialFile::PartialFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
PartialFile::PartialFile(PartialFile&&) noexcept = default;
PartialFile& PartialFile::operator=(PartialFile&&) noexcept = default;
PartialFile::~PartialFile() = default;

Result<PartialFile> PartialFile::open(const fs::path& data, const PartialIdentity& identity) {
  ASSAY_TRY_VOID(make_folders(data.parent_path()));
  auto state = std::make_unique<State>(data, identity);
  const auto journal = read_journal(journal_of(data));
  // Nobody else's file may be written through a link of this name.
  state->file = ::open(data.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  struct stat info {};
  if (state->file < 0 || ::fstat(state->file, &info) != 0) return disk_error(data, "cannot be opened", errno);
  if (journal && journal->identity.etag == identity.etag && journal->identity.size == identity.size)
    state->have = trusted(*journal, static_cast<std::uint64_t>(info.st_size));
  if (state->have.bytes() == 0 && ::ftruncate(state->file, 0) != 0) return disk_error(data, "cannot be emptied", errno);
  if (state->have.bytes() > 0 && ::fdatasync(state->file) != 0 && errno != EINVAL)
    return disk_error(data, "cannot be brought to the disk", errno);
  ASSAY_TRY_VOID(state->begin_journal());
  return PartialFile(std::move(state));
}

Result<> PartialFile::write(std::uint64_t offset, Bytes bytes) {
  return write_all(state_->file, state_->data, offset, bytes);
}

void PartialFile::note(Range written) {
  if (written.begin >= written.end) return;
  Json line;
  const std::string text = to_text(line.set("written", pair_of(written))) + "\n";
  const std::lock_guard lock(state_->mutex);
  state_->have.add(written);
  // A journal that cannot be written (a full disk) costs a repeated download, no more.
  if (::write(state_->journal, text.data(), text.size()) < 0) return;
}

RangeSet PartialFile::have() const {
  const std::lock_guard lock(state_->mutex);
  return state_->have;
}

std::uint64_t PartialFile::prefix() const {
  const std::lock_guard lock(state_->mutex);
  return state_->have.prefix();
}

Result<std::size_t> PartialFile::read(std::uint64_t offset, std::span<std::byte> into) const {
  for (;;) {
    const ssize_t count = ::pread(state_->file, into.data(), into.size(), static_cast<off_t>(offset));
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) return disk_error(state_->data, "cannot be read back", errno);
  }
}

Result<> PartialFile::sync() {
  const std::string line = synced_line(have());  // before the data: what is written meanwhile is not claimed
  if (::fdatasync(state_->file) != 0 && errno != EINVAL && errno != ENOTSUP)
    return disk_error(state_->data, "cannot be brought to the disk", errno);
  const std::lock_guard lock(state_->mutex);
  if (::write(state_->journal, line.data(), line.size()) == static_cast<ssize_t>(line.size()))
    ::fdatasync(state_->journal);
  return success();
}

Result<> PartialFile::commit(const fs::path& target) {
  // The hash was taken of these bytes; nothing may follow them.
  if (::ftruncate(state_->file, static_cast<off_t>(state_->identity.size)) != 0)
    return disk_error(state_->data, "cannot get its length", errno);
  if (::fsync(state_->file) != 0 && errno != EINVAL && errno != ENOTSUP)
    return disk_error(state_->data, "cannot be brought to the disk", errno);
  ASSAY_TRY_VOID(make_folders(target.parent_path()));
  constexpr std::string_view kLine = "{\"committed\":true}\n";
  const bool is_noted = ::write(state_->journal, kLine.data(), kLine.size()) == static_cast<ssize_t>(kLine.size());
  if (!is_noted || (::fdatasync(state_->journal) != 0 && errno != EINVAL && errno != ENOTSUP))
    return disk_error(journal_of(state_->data), "cannot be written", errno);
  if (::rename(state_->data.c_str(), target.c_str()) != 0) return disk_error(target, "cannot get its name", errno);
  sync_folder(target.parent_path());
  state_->close_all();
  return success();
}

Result<> PartialFile::start_over() {
  const std::lock_guard lock(state_->mutex);
  state_->have = RangeSet();
  ASSAY_TRY_VOID(state_->begin_journal());
  if (::ftruncate(state_->file, 0) != 0) return disk_error(state_->data, "cannot be emptied", errno);
  return success();
}

bool was_committed(const fs::path& data, const PartialIdentity& identity, const fs::path& target) {
  const auto journal = read_journal(journal_of(data));
  std::error_code problem;
  return journal && journal->is_committed && journal->identity.etag == identity.etag &&
         journal->identity.size == identity.size && !fs::exists(data, problem) &&
         fs::file_size(target, problem) == identity.size && !problem;
}

void forget_partial(const fs::path& data) {
  std::error_code ignored;
  if (!fs::exists(data, ignored)) ::unlink(journal_of(data).c_str());
}

std::optional<PartialFacts> look_at_partial(const fs::path& data) {
  const auto journal = read_journal(journal_of(data));
  struct stat info {};
  if (!journal || ::stat(data.c_str(), &info) != 0) return std::nullopt;
  return PartialFacts{journal->identity.etag, journal->identity.url, journal->identity.size,
                      trusted(*journal, static_cast<std::uint64_t>(info.st_size)).bytes()};
}

}  // namespace assay
