// The pass as a loop that every thread runs: take the best job, do it, tell the others.
#include "runtime/validate/pass.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "runtime/core/parallel.h"
#include "runtime/core/sha256.h"

namespace assay::validation {

namespace {

constexpr std::uint64_t kPiece = std::uint64_t{4} << 20;
// What one job scans: where it is smaller, the way to the next job shows (a quarter of the speed with 512 KB).
constexpr std::uint64_t kScanPiece = std::uint64_t{2} << 20;
// What hashing may be ahead of scanning: small enough to be in a last-level cache.
constexpr std::uint64_t kMostAhead = std::uint64_t{16} << 20;
// How far ahead the disk is asked for the next piece.
constexpr std::uint64_t kReadAhead = std::uint64_t{32} << 20;

struct FileState {
  const MappedFile* file = nullptr;
  Sha256 hash{};
  std::uint64_t hashed = 0;
  bool is_taken = false;
  std::vector<ScanPiece> pieces{};    // in the order of their bytes
  std::vector<std::uint64_t> ends{};  // of each piece in the file
  std::size_t scanned = 0;            // pieces handed out

  std::uint64_t size() const { return file->bytes().size(); }
  std::uint64_t unhashed() const { return size() - hashed; }
};

struct Job {
  FileState* file = nullptr;
  bool is_hash = false;
  std::size_t piece = 0;
};

class Pass {
 public:
  Pass(const ModelFile& model, const PassWork& work, ProgressFn progress)
      : model_(model), work_(work), progress_(progress) {
    files_.resize(model.files.size());
    for (std::size_t i = 0; i < files_.size(); ++i) files_[i].file = &model.files[i];
    if (work.numbers) plan_pieces();
    for (const FileState& file : files_) total_ += work.hash ? file.size() : 0;
  }

  Result<PassResult> run() {
    Threads threads(work_.threads);
    if (work_.numbers) numbers_.resize(model_.tensors.size());
    threads.for_chunks(static_cast<std::size_t>(threads.count()), [&](std::size_t) { run_worker(); });
    if (is_stopped_) return Error{Code::interrupted, "", "validation was stopped", model_.path.string()};
    PassResult result;
    result.numbers = std::move(numbers_);
    if (work_.hash)
      for (FileState& file : files_) result.hashes.push_back(file.hash.finish());
    return result;
  }

 private:
  // Where bytes lie: the file that maps them, and their end in it. Tensors expanded on open lie in none: the first, at
  // 0.
  std::pair<std::size_t, std::uint64_t> place_of(Bytes bytes) const {
    for (std::size_t i = 0; i < files_.size(); ++i) {
      const Bytes all = files_[i].file->bytes();
      if (!all.empty() && bytes.data() >= all.data() && bytes.data() < all.data() + all.size())
        return {i, static_cast<std::uint64_t>(bytes.data() - all.data()) + bytes.size()};
    }
    return {0, 0};
  }

  void plan_pieces() {
    struct Placed {
      std::uint64_t end;
      ScanPiece piece;
    };
    std::vector<std::vector<Placed>> placed(files_.size());
    std::vector<ScanPiece> pieces;
    for (std::size_t i = 0; i < model_.tensors.size(); ++i)
      cut(model_.tensors[i], static_cast<std::uint32_t>(i), kScanPiece, pieces);
    for (const ScanPiece& piece : pieces) {
      const Bytes bytes = bytes_of(piece, model_.tensors[piece.tensor]);
      const auto [file, end] = place_of(bytes);
      placed[file].push_back({end, piece});
      if (!work_.hash) total_ += bytes.size();
    }
    for (std::size_t i = 0; i < files_.size(); ++i) {
      std::stable_sort(placed[i].begin(), placed[i].end(),
                       [](const Placed& a, const Placed& b) { return a.end < b.end; });
      for (const Placed& each : placed[i]) {
        files_[i].pieces.push_back(each.piece);
        files_[i].ends.push_back(each.end);
      }
    }
  }

  bool is_ready(const FileState& file) const {
    return file.scanned < file.pieces.size() && (!work_.hash || file.ends[file.scanned] <= file.hashed);
  }
  // How far hashing is ahead of scanning.
  std::uint64_t backlog(const FileState& file) const {
    return is_ready(file) ? file.hashed - std::min(file.hashed, file.ends[file.scanned]) : 0;
  }

  // With the lock held: what to do now; nothing when all that is left is in other hands.
  std::optional<Job> choose() {
    FileState* longest = nullptr;
    FileState* ready = nullptr;
    for (FileState& file : files_) {
      if (is_ready(file) && (ready == nullptr || backlog(file) > backlog(*ready))) ready = &file;
      if (work_.hash && !file.is_taken && file.unhashed() > 0 &&
          (longest == nullptr || file.unhashed() > longest->unhashed()))
        longest = &file;
    }
    if (longest != nullptr && (ready == nullptr || backlog(*ready) < kMostAhead)) {
      longest->is_taken = true;
      return Job{longest, true, 0};
    }
    if (ready == nullptr) return std::nullopt;
    return Job{ready, false, ready->scanned++};
  }
  bool is_done() const {
    return std::all_of(files_.begin(), files_.end(), [&](const FileState& file) {
      return (!work_.hash || (file.unhashed() == 0 && !file.is_taken)) && file.scanned == file.pieces.size();
    });
  }

  void run_worker() {
    std::unique_lock lock(mutex_);
    while (!is_stopped_ && !is_done()) {
      const auto job = choose();
      if (!job) {
        changed_.wait(lock);
        continue;
      }
      job->is_hash ? hash(*job->file, lock) : scan_piece(*job, lock);
      changed_.notify_all();
    }
    changed_.notify_all();
  }

  // Both work without the lock and come back with it.
  void hash(FileState& file, std::unique_lock<std::mutex>& lock) {
    const std::uint64_t from = file.hashed;
    const std::uint64_t count = std::min(kPiece, file.unhashed());
    lock.unlock();
    file.file->walk_ahead(from + kReadAhead, kPiece);
    file.hash.update(file.file->bytes().subspan(from, count));
    lock.lock();
    file.hashed += count;
    file.is_taken = false;
    tell(count);
  }
  void scan_piece(const Job& job, std::unique_lock<std::mutex>& lock) {
    const ScanPiece piece = job.file->pieces[job.piece];
    const std::uint64_t end = job.file->ends[job.piece];
    lock.unlock();
    const TensorView& tensor = model_.tensors[piece.tensor];
    if (!work_.hash) prepare(job, end, bytes_of(piece, tensor).size());
    const Numbers found = scan(piece, tensor);
    lock.lock();
    numbers_[piece.tensor].add(found);
    if (!work_.hash) tell(bytes_of(piece, tensor).size());
  }
  // Tensors expanded on open have no place in the file.
  static void prepare(const Job& job, std::uint64_t end, std::uint64_t size) {
    if (end < size) return;
    // Whole large requests: the first of the small pieces inside asks, the others find it asked for.
    job.file->file->walk_ahead((end + kReadAhead) / kPiece * kPiece, kPiece);
    job.file->file->map_in(end - size, size);
  }
  void tell(std::uint64_t bytes) {
    done_ += bytes;
    if (!progress_({.task = work_.hash ? (work_.numbers ? "hash and check" : "hash") : "check numbers",
                    .done = done_,
                    .total = total_}))
      is_stopped_ = true;
  }

  const ModelFile& model_;
  PassWork work_;
  ProgressFn progress_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::vector<FileState> files_;
  std::vector<Numbers> numbers_;
  std::uint64_t done_ = 0, total_ = 0;
  bool is_stopped_ = false;
};

}  // namespace

Result<PassResult> run_pass(const ModelFile& model, const PassWork& work, ProgressFn progress) {
  return Pass(model, work, progress).run();
}

}  // namespace assay::validation
