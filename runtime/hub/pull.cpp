// Plans carried out: locks, transfers, names, links, several files at a time, and the last look at what arrived.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "runtime/hub/cache_layout.h"
#include "runtime/hub/disk.h"
#include "runtime/hub/file_lock.h"
#include "runtime/hub/hub_state.h"
#include "runtime/hub/transfer.h"
#include "runtime/validate/validate.h"

namespace assay {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr int kFreshStarts = 3;  // after a wrong hash, or when a URL's file changes under way

double seconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

// Waits for the lock as long as another process holds it.
Result<std::optional<FileLock>> take_lock(HubContext& context, EventTeller& events, const PlannedFile& file,
                                          const Place& place) {
  for (bool is_first = true;; is_first = false) {
    ASSAY_TRY(std::optional<FileLock> lock, FileLock::try_take(place.lock));
    if (lock) return lock;
    if (is_first)
      events.tell({.step = PullStep::waiting,
                   .file = file.name,
                   .total = file.size.value_or(0),
                   .message = "another process is downloading this file; waiting for it (its lock: " +
                              place.lock.string() + ")"});
    else
      events.tell({.step = PullStep::progress, .file = file.name, .done = 0, .total = file.size.value_or(0)});
    if (!sleep_for(milliseconds(100), context.stop)) return Error{Code::interrupted, "", "stopped"};
  }
}

TransferRequest request_for(const HubContext& context, const PullPlan& plan, const PlannedFile& file, Url url) {
  TransferRequest request{.name = file.name, .url = std::move(url), .size = *file.size, .etag = file.etag};
  request.is_pinned = !plan.repository.empty();
  if (request.is_pinned && !context.options.token.empty())
    request.headers.emplace_back("Authorization", "Bearer " + context.options.token);
  if (request.is_pinned) request.digest = digest_of_etag(file.etag);
  if (!context.options.sha256.empty()) request.digest = Digest{DigestKind::sha256, context.options.sha256};
  return request;
}

// A file that lies where this one is to go and is none of ours is not written over.
Result<> check_target(const HubOptions& options, const Place& place) {
  std::error_code ignored;
  if (place.note.empty() || options.downloads_again || !fs::exists(fs::symlink_status(place.target, ignored)) ||
      fs::exists(place.note, ignored))
    return success();
  return Error{
      Code::denied, "",
      "is there already and was not downloaded by a hub client; move it away, or use --force-download to replace it",
      place.target.string()};
}

// The file may lie there without a note: because a pull ended between the two, or then its hash says whether it is the
// one.
bool adopt(const PlannedFile& file, const Place& place, const PullPlan& plan) {
  if (!place.note.empty() && file.size && was_committed(place.partial, {file.etag, *file.size}, place.target))
    return true;
  std::error_code problem;
  const auto digest = digest_of_etag(file.etag);
  if (place.note.empty() || !digest || !file.size || fs::file_size(place.target, problem) != *file.size || problem)
    return false;
  const Result<std::string> hash = hash_file(place.target, digest->kind);
  return hash && *hash == digest->hex && write_note(place, {plan.commit, file.etag}).has_value();
}

// Gives a complete file its other names: the snapshot's link, or the note.
Result<fs::path> name_file(const HubContext& context, const PullPlan& plan, const PlannedFile& file,
                           const Place& place) {
  if (!place.note.empty()) {
    ASSAY_TRY_VOID(write_note(place, {plan.commit.empty() ? "url" : plan.commit, file.etag}));
    return place.target;
  }
  std::error_code ignored;
  if (!fs::exists(place.target, ignored) && fs::exists(file.path, ignored))
    return file.path;  // a snapshot without links
  return add_to_snapshot(CacheLayout(context.options.cache_folder), plan.repository, plan.commit, file.name, file.etag,
                         context.options.uses_symlinks ? LinkKind::symlink : LinkKind::none);
}

// One transfer from first byte to final name, begun anew where its bytes turn out to be wrong.
Result<PulledFile> transfer_file(HubContext& context, EventTeller& events, const PlannedFile& file, const Place& place,
                                 const TransferRequest& request) {
  ASSAY_TRY(PartialFile partial,
            PartialFile::open(place.partial, {request.etag, request.size,
                                              request.url.text().substr(0, request.url.text().find('?'))}));
  if (context.options.downloads_again || request.etag.empty()) ASSAY_TRY_VOID(partial.start_over());
  const std::uint64_t before = partial.have().bytes();
  events.tell({.step = PullStep::started, .file = file.name, .done = before, .total = request.size});
  for (int start = 1;; ++start) {
    const Result<TransferTimes> times = transfer(context, events, request, partial);
    if (times) {
      const auto syncing = steady_clock::now();
      ASSAY_TRY_VOID(partial.commit(place.target));
      return PulledFile{.name = file.name,
                        .path = place.target,
                        .size = request.size,
                        .transferred_bytes = request.size - before,
                        .etag = file.etag,
                        .transfer_s = times->transfer_s,
                        .sync_s = seconds_since(syncing)};
    }
    if (times.error().code != Code::mismatch) return times.error();
    // Bytes of another file are of no use; those that a hub's hash vouches for may still be.
    const bool has_changed = times.error().subject == "changed";
    if (!has_changed || !request.is_pinned) ASSAY_TRY_VOID(partial.start_over());
    if (has_changed || start == kFreshStarts) return times.error();
    events.tell({.step = PullStep::retrying,
                 .file = file.name,
                 .total = request.size,
                 .message = times.error().detail + "; fetching it again"});
  }
}

Result<PulledFile> transfer_or_stream(HubContext& context, EventTeller& events, const PullPlan& plan,
                                      const PlannedFile& file, const Place& place) {
  ASSAY_TRY(Url url, parse_url(file.url));
  if (file.size) return transfer_file(context, events, file, place, request_for(context, plan, file, std::move(url)));
  const auto start = steady_clock::now();
  ASSAY_TRY(const std::uint64_t size, stream_file(context, events, file, place));
  return PulledFile{.name = file.name,
                    .path = place.target,
                    .size = size,
                    .transferred_bytes = size,
                    .etag = file.etag,
                    .transfer_s = seconds_since(start)};
}

Result<> check_space(const PullPlan& plan) {
  if (plan.missing_bytes <= plan.free_bytes) return success();
  const fs::path folder = plan.files.front().path.parent_path();
  return Error{Code::space, "",
               fmt::format("{} are to be downloaded, and {} are free on this disk; free some space, or name another "
                           "folder with --cache-dir or --local-dir",
                           format_bytes(plan.missing_bytes), format_bytes(plan.free_bytes)),
               folder.string()};
}

// The structure of what arrived; what Assay cannot run is no reason to refuse it.
Result<> check_model(const PullPlan& plan, EventTeller& events, const fs::path& model) {
  if (!plan.is_model) return success();
  ASSAY_TRY(const Validation validation, validate(model, {.numbers = false}));
  for (const Finding& finding : validation.findings) {
    if (finding.severity != Severity::error) continue;
    const std::string text = finding.subject.empty() ? finding.message : finding.subject + ": " + finding.message;
    if (finding.code != Code::unsupported)
      return Error{
          Code::malformed, "",
          fmt::format("arrived as the server has it, and is no valid model: {} ({}); assay validate tells more", text,
                      finding.rule),
          model.string()};
    events.tell({.step = PullStep::note, .message = text});
    return success();
  }
  return success();
}

}  // namespace

Result<PulledFile> pull_file(HubContext& context, EventTeller& events, const PullPlan& plan, const PlannedFile& file) {
  const HubOptions& options = context.options;
  const Place place = place_of(options, plan, file);
  if (!place.note.empty())
    ASSAY_TRY_VOID(check_folders(plan.repository.empty() ? file.path.parent_path() : options.local_folder,
                                 plan.repository.empty() ? file.path.filename() : fs::path(file.name)));
  PulledFile pulled{.name = file.name, .path = place.target, .size = file.size.value_or(0), .etag = file.etag};
  bool is_here = file.is_here;
  std::optional<FileLock> lock;  // what is here needs none: the cache may even be read-only
  if (!is_here) {
    ASSAY_TRY(lock, take_lock(context, events, file, place));
    is_here = !options.downloads_again && (is_there(place, file.size, file.etag) || adopt(file, place, plan));
  }
  if (!is_here) {
    ASSAY_TRY_VOID(check_target(options, place));
    ASSAY_TRY(pulled, transfer_or_stream(context, events, plan, file, place));
  }
  ASSAY_TRY(pulled.path, name_file(context, plan, file, place));
  if (lock) forget_partial(place.partial);
  events.tell({.step = PullStep::done,
               .file = file.name,
               .done = pulled.size,
               .total = pulled.size,
               .message = is_here ? "here already" : "",
               .path = pulled.path.native(),
               .transfer_s = pulled.transfer_s,
               .sync_s = pulled.sync_s});
  return pulled;
}

Hub::Hub(HubOptions options) : state_(std::make_unique<State>(std::move(options))) {}
Hub::~Hub() = default;
const HubOptions& Hub::options() const {
  return state_->context.options;
}

namespace {

// Pulls the files of a plan, several at a time, in its order; the first failure keeps further ones from being begun.
class Crew {
 public:
  Crew(HubContext& context, EventTeller& events, const PullPlan& plan)
      : context_(context), events_(events), plan_(plan), files_(plan.files.size()) {}

  Result<std::vector<PulledFile>> run() {
    const std::size_t count =
        std::clamp<std::size_t>(static_cast<std::size_t>(context_.options.jobs), 1, plan_.files.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < count; ++i) threads.emplace_back([this] { work(); });
    work();
    for (std::thread& thread : threads) thread.join();
    if (problem_) return *problem_;
    return std::move(files_);
  }

 private:
  void work() {
    for (std::size_t i = next_++; i < plan_.files.size(); i = next_++) {
      Result<PulledFile> pulled = has_failed_.load() ? Error{Code::interrupted, "", "stopped"} : pull(plan_.files[i]);
      const std::lock_guard lock(mutex_);
      if (pulled) {
        files_[i] = *std::move(pulled);
      } else {
        has_failed_.store(true);
        if (!problem_) problem_ = std::move(pulled).error();
      }
    }
  }

  Result<PulledFile> pull(const PlannedFile& file) {
    Result<PulledFile> pulled = pull_file(context_, events_, plan_, file);
    if (pulled || pulled.error().code == Code::interrupted) return pulled;
    Error error = std::move(pulled).error();
    const bool can_restart = error.subject == "changed" && plan_.repository.empty();  // Hub::pull() does
    if (!can_restart && (error.subject == "hash" || error.subject == "changed")) error.subject = file.name;
    if (!can_restart)
      events_.tell(
          {.step = PullStep::failed, .file = file.name, .total = file.size.value_or(0), .message = error.message()});
    return error;
  }

  HubContext& context_;
  EventTeller& events_;
  const PullPlan& plan_;
  std::vector<PulledFile> files_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> has_failed_{false};
  std::mutex mutex_;
  std::optional<Error> problem_;
};

}  // namespace

Result<PullResult> Hub::pull(const PullPlan& first_plan, PullEvents tell) {
  HubContext& context = state_->context;
  EventTeller events(tell, context.stop);
  PullPlan plan = first_plan;
  for (int start = 1;; ++start) {
    ASSAY_TRY_VOID(check_space(plan));
    events.tell({.step = PullStep::planned, .done = plan.total_bytes - plan.missing_bytes, .total = plan.total_bytes});
    Result<std::vector<PulledFile>> files = Crew(context, events, plan).run();
    const bool has_changed = !files && files.error().subject == "changed";
    if (has_changed && start == kFreshStarts)
      return Error{Code::mismatch, plan.source.text(),
                   files.error().detail + "; it changes faster than it can be fetched"};
    if (has_changed) {
      events.tell({.step = PullStep::retrying, .message = files.error().detail + "; starting with the new one"});
      ASSAY_TRY(plan, plan_url(context, events, plan.source));
      continue;
    }
    if (!files) return std::move(files).error();
    PullResult result{.model = plan.repository.empty() ? files->front().path : plan.model, .files = *std::move(files)};
    std::error_code ignored;
    result.model = fs::absolute(result.model, ignored);
    ASSAY_TRY_VOID(check_model(plan, events, result.model));
    if (!plan.repository.empty() && context.options.local_folder.empty() && !plan.is_offline)
      ASSAY_TRY_VOID(write_ref(CacheLayout(context.options.cache_folder), plan.repository, plan.revision, plan.commit));
    return result;
  }
}

}  // namespace assay
