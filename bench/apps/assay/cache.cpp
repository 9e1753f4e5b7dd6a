// assay cache: what the hub's cache holds, what is unfinished, unused or damaged in it, and tidying it up.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/hub_options.h"
#include "runtime/core/json.h"
#include "runtime/hub/cache_scan.h"

namespace assay {
namespace {

struct CacheArguments {
  std::string cache_dir;
  double older_than_hours = 1;
  bool json = false, dry_run = false, yes = false, detached = false, remove = false;
  ProgressChoice progress;
};

constexpr const char* kFooter = R"(Examples:
  assay cache                       size of every repository and revision, and what is left over
  assay cache prune --dry-run       what would go
  assay cache prune --detached      also revisions that no branch or tag stands for any more
  assay cache check                 hash every file against its name; exit 1 names the damaged ones
  assay cache check --remove        and remove those, so that the next pull fetches them again

Left over are unfinished downloads (Assay's go on when they are pulled again), unfinished files of other programs, files that no
revision refers to, and names whose file is gone. What somebody is downloading now is never touched.

Exit codes: 0 done, 1 damaged files were found, 2 usage, 3 could not, 130 interrupted.)";

struct Folders {
  std::filesystem::path cache, files;
};

Result<Folders> folders_of(const CacheArguments& arguments) {
  HubArguments hub;
  hub.cache_dir = arguments.cache_dir;
  ASSAY_TRY(const HubOptions options, hub_options_of(hub));
  return Folders{options.cache_folder, arguments.cache_dir.empty() ? options.files_folder : std::filesystem::path()};
}

std::string age_text(std::chrono::seconds age) {
  const auto hours = age.count() / 3600;
  if (hours >= 48) return fmt::format("{} days", hours / 24);
  return hours > 0 ? fmt::format("{} h", hours) : fmt::format("{} min", age.count() / 60);
}

std::string state_of(const Leftover& leftover) {
  if (leftover.is_in_use) return "being downloaded now";
  if (leftover.kind == LeftoverKind::partial && leftover.total_bytes > 0)
    return fmt::format("of {}; pull it again to go on", format_bytes(leftover.total_bytes));
  return "";
}

Json leftover_json(const Leftover& leftover) {
  Json row;
  row.set("kind", name_of(leftover.kind))
      .set("path", leftover.path.string())
      .set("repository", leftover.repository)
      .set("bytes", leftover.bytes);
  return row.set("total_bytes", leftover.total_bytes)
      .set("age_s", std::int64_t{leftover.age.count()})
      .set("is_in_use", leftover.is_in_use);
}

Json scan_json(const CacheScan& scan, const Folders& folders) {
  Json repositories = Json::Array{}, leftovers = Json::Array{}, out;
  for (const CachedRepository& repository : scan.repositories) {
    Json revisions = Json::Array{}, row;
    for (const CachedRevision& revision : repository.revisions) {
      Json refs = Json::Array{}, each;
      for (const std::string& ref : revision.refs) refs.push(ref);
      revisions.push(each.set("commit", revision.commit)
                         .set("refs", std::move(refs))
                         .set("bytes", revision.bytes)
                         .set("files", revision.files));
    }
    repositories.push(
        row.set("name", repository.name).set("bytes", repository.bytes).set("revisions", std::move(revisions)));
  }
  for (const Leftover& leftover : scan.leftovers) leftovers.push(leftover_json(leftover));
  out.set("schema", "assay.cache.v1").set("folder", folders.cache.string()).set("bytes", scan.bytes);
  return out.set("repositories", std::move(repositories)).set("leftovers", std::move(leftovers));
}

void print_leftovers(const std::vector<Leftover>& leftovers) {
  for (const Leftover& leftover : leftovers)
    fmt::print("  {:<30} {:>9}  {:>8} old  {}  {}\n", name_of(leftover.kind), format_bytes(leftover.bytes),
               age_text(leftover.age), terminal_safe(leftover.path.filename().string()), state_of(leftover));
}

int run_list(const CacheArguments& arguments) {
  const auto folders = folders_of(arguments);
  if (!folders) return report_error(folders.error());
  const CacheScan scan = scan_cache(folders->cache, folders->files);
  if (arguments.json) {
    fmt::print("{}\n", to_text(scan_json(scan, *folders), 2));
    return kExitYes;
  }
  for (const CachedRepository& repository : scan.repositories) {
    fmt::print("{:>9}  {}\n", format_bytes(repository.bytes), terminal_safe(repository.name));
    for (const CachedRevision& revision : repository.revisions) {
      std::string refs;
      for (const std::string& ref : revision.refs) refs += (refs.empty() ? "" : ", ") + ref;
      fmt::print("{:>9}    {} {} files, {}\n", "", terminal_safe(revision.commit.substr(0, 12)), revision.files,
                 refs.empty() ? "detached: no branch or tag stands for it" : terminal_safe(refs));
    }
  }
  fmt::print("{:>9}  in {} repositories in {}\n", format_bytes(scan.bytes), scan.repositories.size(),
             terminal_safe(folders->cache.string()));
  if (scan.leftovers.empty()) return kExitYes;
  std::uint64_t bytes = 0;
  for (const Leftover& leftover : scan.leftovers) bytes += leftover.bytes;
  fmt::print("\nleft over: {} ({}); assay cache prune removes what is not in use\n", scan.leftovers.size(),
             format_bytes(bytes));
  print_leftovers(scan.leftovers);
  return kExitYes;
}

// The leftovers that prune removes: not in use, and old enough where a download may just be pausing.
std::vector<Leftover> prunable(const CacheScan& scan, double older_than_hours) {
  std::vector<Leftover> out;
  for (const Leftover& leftover : scan.leftovers) {
    const bool is_download = leftover.kind == LeftoverKind::partial || leftover.kind == LeftoverKind::foreign ||
                             leftover.kind == LeftoverKind::temporary;
    const bool is_old = static_cast<double>(leftover.age.count()) >= older_than_hours * 3600;
    if (!leftover.is_in_use && (!is_download || is_old)) out.push_back(leftover);
  }
  return out;
}

bool agrees(const std::string& question) {
  if (isatty(STDIN_FILENO) == 0) {
    print_error("nobody is there to ask; give -y to remove without a question");
    return false;
  }
  std::fprintf(stderr, "%s [y/N] ", question.c_str());
  std::string answer;
  return std::getline(std::cin, answer) && (answer == "y" || answer == "Y" || answer == "yes");
}

Result<std::uint64_t> remove_all(const std::vector<Leftover>& leftovers) {
  std::uint64_t freed = 0;
  for (const Leftover& leftover : leftovers) {
    ASSAY_TRY(const bool is_gone, remove_leftover(leftover));
    if (is_gone) freed += leftover.bytes;
  }
  return freed;
}

std::vector<std::pair<std::string, std::string>> detached_revisions(const CacheScan& scan) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const CachedRepository& repository : scan.repositories)
    for (const CachedRevision& revision : repository.revisions)
      if (revision.refs.empty()) out.emplace_back(repository.name, revision.commit);
  return out;
}

int run_prune(const CacheArguments& arguments) {
  const auto folders = folders_of(arguments);
  if (!folders) return report_error(folders.error());
  CacheScan scan = scan_cache(folders->cache, folders->files);
  const auto detached = arguments.detached ? detached_revisions(scan) : decltype(detached_revisions(scan)){};
  const std::vector<Leftover> found = prunable(scan, arguments.older_than_hours);
  for (const auto& [repository, commit] : detached)
    fmt::print("  {:<30} {} of {}\n", "detached revision", commit.substr(0, 12), terminal_safe(repository));
  print_leftovers(found);
  if (found.empty() && detached.empty()) {
    fmt::print("nothing to remove\n");
    return kExitYes;
  }
  if (arguments.dry_run) return kExitYes;
  if (!arguments.yes && !agrees(fmt::format("Remove these {}?", found.size() + detached.size()))) return kExitCouldNot;
  for (const auto& [repository, commit] : detached)
    if (const auto removed = remove_revision(folders->cache, repository, commit); !removed)
      return report_error(removed.error());
  // Blobs that only those revisions had are unreferenced now.
  if (!detached.empty()) scan = scan_cache(folders->cache, folders->files);
  const auto freed = remove_all(prunable(scan, arguments.older_than_hours));
  if (!freed) return report_error(freed.error());
  fmt::print("{} freed\n", format_bytes(*freed));
  return kExitYes;
}

int run_check(const CacheArguments& arguments) {
  const auto folders = folders_of(arguments);
  if (!folders) return report_error(folders.error());
  ProgressPrinter printer(stderr, progress_options(arguments.progress));
  const auto corrupt = find_corrupt_blobs(folders->cache, [&](const ProgressEvent& event) {
    printer.show(event);
    return !stop_requested();
  });
  printer.clear();
  if (!corrupt) return report_error(corrupt.error());
  Json rows = Json::Array{}, out;
  for (const CorruptBlob& blob : *corrupt) {
    Json row;
    rows.push(row.set("path", blob.path.string())
                  .set("repository", blob.repository)
                  .set("hash", blob.actual)
                  .set("bytes", blob.bytes));
    if (!arguments.json)
      fmt::print("damaged  {}  {}\n         it hashes to {}\n", terminal_safe(blob.repository),
                 terminal_safe(blob.path.string()), blob.actual);
    std::error_code problem;
    if (arguments.remove && !std::filesystem::remove(blob.path, problem))
      return report_error({Code::io, "", "cannot be removed", blob.path.string()});
  }
  if (arguments.json)
    fmt::print("{}\n", to_text(out.set("schema", "assay.cache-check.v1").set("corrupt", std::move(rows)), 2));
  else
    fmt::print("{} damaged files{}\n", corrupt->size(),
               corrupt->empty()   ? ""
               : arguments.remove ? ", removed: pull again"
                                  : "; --remove takes them away, then pull again");
  return corrupt->empty() ? kExitYes : kExitNo;
}

}  // namespace

void add_cache(Command app, int& exit_code) {
  const Command command =
      app.add_command("cache", "Size of the hub's cache, what is unfinished or damaged in it, and tidying up");
  const auto arguments = std::make_shared<CacheArguments>();
  command.footer(kFooter);
  command.require_commands(0, 1);
  command.takes_options_of_subcommands();
  command.add_option("--cache-dir", arguments->cache_dir,
                      "The cache; default $HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub");
  command.add_flag("--json", arguments->json, "As JSON");
  add_progress_options(command, arguments->progress);
  const Command prune = command.add_command("prune", "Remove what is left over");
  prune.add_flag("-n,--dry-run", arguments->dry_run, "Show what would go, and remove nothing");
  prune.add_flag("-y,--yes", arguments->yes, "Do not ask");
  prune.add_flag("--detached", arguments->detached, "Also revisions that no branch or tag stands for");
  prune.add_option("--older-than", arguments->older_than_hours, "Hours since an unfinished download was last written")
      .between(0.0, 1e6)
      .shows_default();
  const Command check = command.add_command("check", "Hash every file against its name");
  check.add_flag("--remove", arguments->remove, "Remove damaged files");
  command.when_given([arguments, prune, check, &exit_code] {
    exit_code = prune.was_given()   ? run_prune(*arguments)
                : check.was_given() ? run_check(*arguments)
                                  : run_list(*arguments);
  });
}

}  // namespace assay
