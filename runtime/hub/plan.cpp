// Plans: from the hub, from a server's answer to a URL, and from the cache alone.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "runtime/hub/cache_layout.h"
#include "runtime/hub/disk.h"
#include "runtime/hub/fetch.h"
#include "runtime/hub/hub_state.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

constexpr std::uintmax_t kIndexLimit = 256 << 20;

// The snapshot of the cache, or the folder that --local-dir names.
fs::path base_folder(const HubOptions& options, const PullPlan& plan) {
  if (!options.local_folder.empty()) return options.local_folder;
  return CacheLayout(options.cache_folder).snapshot(plan.repository, plan.commit);
}

Result<std::string> read_index(const fs::path& path) {
  std::error_code problem;
  if (const std::uintmax_t size = fs::file_size(path, problem); problem || size > kIndexLimit)
    return Error{Code::malformed, "", problem ? "cannot be read" : "is too large for an index of shards",
                 path.string()};
  std::ifstream in(path, std::ios::binary);
  return std::string{std::istreambuf_iterator<char>(in), {}};
}

void add_files(const HubOptions& options, PullPlan& plan, const std::vector<HubFile>& files) {
  for (const HubFile& file : files) {
    const bool is_double = std::any_of(plan.files.begin(), plan.files.end(),
                                       [&](const PlannedFile& each) { return each.name == file.path; });
    if (!is_double) plan.files.push_back(plan_file(options, plan, file));
  }
}

// What the cache holds of a commit, as a hub would list it.
HubListing list_snapshot(const CacheLayout& layout, const std::string& repository, const std::string& commit) {
  HubListing listing{.repository = repository, .commit = commit, .files = {}};
  const fs::path folder = layout.snapshot(repository, commit);
  std::error_code problem;
  for (fs::recursive_directory_iterator entry(folder, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    std::error_code unreadable;
    if (!entry->is_regular_file(unreadable)) continue;  // a link to nothing is none
    const std::uint64_t size = entry->file_size(unreadable);
    const fs::path blob = fs::read_symlink(entry->path(), unreadable);
    listing.files.push_back(
        {entry->path().lexically_relative(folder).generic_string(), size, blob.filename().string()});
  }
  std::sort(listing.files.begin(), listing.files.end(),
            [](const HubFile& a, const HubFile& b) { return a.path < b.path; });
  return listing;
}

// The size that an answer to "bytes=0-0" tells.
std::optional<std::uint64_t> told_size(const HttpHead& head) {
  if (head.status == 200) return head.length;
  if (head.status == 416 && head.header("Content-Range").starts_with("bytes */0")) return 0;
  const auto range = parse_content_range(head.header("Content-Range"));
  return range ? range->total : std::nullopt;
}

bool is_model_name(std::string_view name) {
  return name.ends_with(".gguf") || name.ends_with(".safetensors");
}

Result<HttpHead> probe(HubContext& context, EventTeller& events, const Url& url, std::string_view what) {
  HttpClient client(context.options.http, context.trust, context.stop);
  Retry retry(context.options.retry);
  for (;;) {
    Result<HttpHead> head = client.open({.url = url, .headers = {{"Range", "bytes=0-0"}}});
    const bool is_good =
        head && (head->status == 200 || head->status == 206 || (head->status == 416 && told_size(*head)));
    if (is_good) return head;
    const Error error = head ? status_error(*head, what) : head.error();
    client.close();
    const auto wait = error.code != Code::network ? std::nullopt : retry.next(head ? asked_wait(*head) : std::nullopt);
    if (!wait) return error;
    events.tell({.step = PullStep::retrying, .message = retry_text(error, *wait)});
    if (!sleep_for(*wait, context.stop)) return Error{Code::interrupted, "", "stopped"};
  }
}

// HOST/FOLDERS/ of a URL below the folder for files; what is no safe name there becomes plain.
Result<fs::path> folder_of_url(const HubOptions& options, const Url& url, const std::string& name) {
  if (!options.local_folder.empty()) return options.local_folder;
  std::string path = url.path();
  path.resize(path.size() >= name.size() ? path.size() - name.size() : 0);
  while (path.starts_with('/')) path.erase(0, 1);
  while (path.ends_with('/')) path.pop_back();
  std::string host = url.authority();
  std::replace(host.begin(), host.end(), ':', '_');
  fs::path folder = options.files_folder / host;
  if (path.empty()) return folder;
  ASSAY_TRY(const fs::path safe, safe_path(path));
  return folder / safe;
}

}  // namespace

Place place_of(const HubOptions& options, const PullPlan& plan, const PlannedFile& file) {
  if (plan.repository.empty()) return place_in_folder(file.path.parent_path(), file.path.filename(), file.etag);
  if (!options.local_folder.empty()) return place_in_folder(options.local_folder, file.name, file.etag);
  return place_in_cache(options.cache_folder, plan.repository, file.etag);
}

PlannedFile plan_file(const HubOptions& options, const PullPlan& plan, const HubFile& file) {
  PlannedFile planned{.name = file.path,
                      .size = file.size,
                      .etag = file.etag,
                      .url = file_url(options.endpoint, plan.repository, plan.commit, file.path),
                      .path = base_folder(options, plan) / file.path};
  const Place place = place_of(options, plan, planned);
  std::error_code ignored;
  // A snapshot without links holds the file itself.
  const bool is_plain = options.local_folder.empty() &&
                        fs::is_regular_file(fs::symlink_status(planned.path, ignored)) &&
                        fs::file_size(planned.path, ignored) == file.size;
  planned.is_here = !options.downloads_again && (is_plain || is_there(place, file.size, file.etag));
  if (planned.is_here) planned.have_bytes = file.size;
  if (const auto partial = look_at_partial(place.partial);
      partial && !planned.is_here && !options.downloads_again && partial->size == file.size)
    planned.have_bytes = partial->have_bytes;
  return planned;
}

void finish_plan(const HubOptions& options, PullPlan& plan, const std::string& model) {
  plan.total_bytes = plan.missing_bytes = 0;
  for (const PlannedFile& file : plan.files) {
    const std::uint64_t size = file.size.value_or(0);
    plan.total_bytes += size;
    if (!file.is_here) plan.missing_bytes += size - std::min(size, file.have_bytes);
  }
  const fs::path base = plan.repository.empty() ? plan.files.front().path : base_folder(options, plan);
  if (!plan.repository.empty())
    plan.model = model.empty() ? (plan.files.size() == 1 ? base / plan.files.front().name : base) : base / model;
  plan.free_bytes = free_bytes(base);
}

Result<PullPlan> plan_url(HubContext& context, EventTeller& events, const HubSource& source) {
  const HubOptions& options = context.options;
  ASSAY_TRY(const Url url, parse_url(source.url));
  const std::string name = url.file_name();
  ASSAY_TRY(const fs::path safe_name, safe_path(name.empty() ? "download" : name));
  if (safe_name.has_parent_path()) return Error{Code::denied, name, "the URL's file name has a slash in it"};
  ASSAY_TRY(const fs::path folder, folder_of_url(options, url, name));
  PullPlan plan{.source = source,
                .repository = "",
                .revision = "",
                .commit = "",
                .files = {},
                .model = folder / safe_name,
                .is_model = name.ends_with(".gguf")};
  PlannedFile file{.name = safe_name.string(), .size = {}, .etag = "", .url = source.url, .path = plan.model};
  if (options.is_offline) {
    const auto note = read_note(place_in_folder(folder, safe_name, ""));
    if (!note) return Error{Code::not_found, source.url, "was not downloaded yet, and this is offline mode"};
    std::error_code ignored;
    file.etag = note->etag;
    file.size = file.have_bytes = fs::file_size(file.path, ignored);
    file.is_here = plan.is_offline = true;
  } else {
    ASSAY_TRY(const HttpHead head, probe(context, events, url, source.url));
    if (is_model_name(name) && head.header("Content-Type").starts_with("text/html"))
      return Error{Code::malformed, source.url,
                   "answers with a web page and not with a model; a log-in page may stand in the way"};
    file.size = told_size(head);
    file.etag =
        head.header("ETag").empty() ? std::string(head.header("Last-Modified")) : std::string(head.header("ETag"));
    const Place place = place_of(options, plan, file);
    file.is_here = !options.downloads_again && is_there(place, file.size, file.etag);
    if (const auto partial = look_at_partial(place.partial);
        partial && file.size && partial->size == *file.size && !options.downloads_again)
      file.have_bytes = partial->have_bytes;
    if (file.is_here) file.have_bytes = file.size.value_or(0);
  }
  plan.files.push_back(std::move(file));
  finish_plan(options, plan, "");
  return plan;
}

Result<PullPlan> Hub::plan_from_cache(const HubSource& source, const FileChoice& choice) const {
  const HubOptions& options = state_->context.options;
  const CacheLayout layout(options.cache_folder);
  const std::string revision = source.revision.empty() ? "main" : source.revision;
  const std::string commit = cached_commit(layout, source.repository, revision);
  if (commit.empty())
    return Error{Code::not_found, source.repository,
                 fmt::format("revision {} is not in the cache at {}; pull it with a network", revision,
                             options.cache_folder.string())};
  const HubListing listing = list_snapshot(layout, source.repository, commit);
  Result<FileSelection> selection = select_files(listing, source, choice);
  if (selection && !selection->index.empty()) {
    ASSAY_TRY(const std::string index, read_index(layout.snapshot(source.repository, commit) / selection->index));
    if (const auto added = add_shards(listing, index, *selection); !added) selection = added.error();
  }
  if (!selection)
    return Error{selection.error().code, selection.error().subject,
                 selection.error().detail + "; this is all that the cache has, and the hub was not asked"};
  PullPlan plan{.source = source,
                .repository = source.repository,
                .revision = revision,
                .commit = commit,
                .files = {},
                .model = {},
                .is_model = selection->is_model,
                .is_offline = true};
  for (const HubFile& file : selection->files)
    plan.files.push_back({.name = file.path,
                          .size = file.size,
                          .etag = file.etag,
                          .url = file_url(options.endpoint, plan.repository, commit, file.path),
                          .path = layout.snapshot(source.repository, commit) / file.path,
                          .is_here = true,
                          .have_bytes = file.size});
  HubOptions in_cache = options;
  in_cache.local_folder.clear();
  finish_plan(in_cache, plan, selection->model);
  return plan;
}

Result<PullPlan> Hub::plan(const HubSource& source, const FileChoice& choice, PullEvents tell) {
  HubContext& context = state_->context;
  const HubOptions& options = context.options;
  EventTeller events(tell, context.stop);
  if (source.kind == SourceKind::url) return plan_url(context, events, source);
  if (options.is_offline) return plan_from_cache(source, choice);

  const std::string revision = source.revision.empty() ? "main" : source.revision;
  const Result<HubListing> listing = list_repository(context, events, source.repository, revision);
  if (!listing) {
    if (listing.error().code != Code::network || !options.local_folder.empty()) return listing.error();
    Result<PullPlan> cached = plan_from_cache(source, choice);
    if (!cached) return listing.error();
    events.tell({.step = PullStep::note,
                 .message = listing.error().message() + "; going on with what the cache has of " + source.repository});
    return cached;
  }
  ASSAY_TRY(FileSelection selection, select_files(*listing, source, choice));
  PullPlan plan{.source = source,
                .repository = listing->repository,
                .revision = revision,
                .commit = listing->commit,
                .files = {},
                .model = {},
                .is_model = selection.is_model};
  if (!selection.index.empty()) {
    const auto index = std::find_if(selection.files.begin(), selection.files.end(),
                                    [&](const HubFile& file) { return file.path == selection.index; });
    PlannedFile planned = plan_file(options, plan, *index);
    if (!planned.is_here) {
      ASSAY_TRY(const PulledFile pulled, pull_file(context, events, plan, planned));
      planned.path = pulled.path;
    }
    ASSAY_TRY(const std::string text,
              read_index(fs::exists(planned.path) ? planned.path : place_of(options, plan, planned).target));
    ASSAY_TRY_VOID(add_shards(*listing, text, selection));
  }
  add_files(options, plan, selection.files);
  finish_plan(options, plan, selection.model);
  return plan;
}

}  // namespace assay
