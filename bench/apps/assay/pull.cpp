// assay pull: models from a hub or a URL, complete, checked and in their place.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/hub_options.h"
#include "bench/apps/assay/library_access.h"
#include "bench/apps/assay/pull_display.h"
#include "runtime/core/json.h"
#include "runtime/hub/hub.h"

namespace assay {
namespace {

struct PullArguments {
  std::string source, revision;
  FileChoice choice;
  HubArguments hub;
  ProgressChoice progress;
  bool dry_run = false, force = false, json = false;
};

constexpr const char* kFooter = R"(What SOURCE may be:
  ID                    a model of the catalogue (assay list); nothing at all: the selected or the recommended one
  ORG/REPO              the model of a repository: of GGUF files Q4_K_M, else Q8_0, else the only one, with all its parts;
                        of safetensors the weights (sharded ones by their index), configuration and tokenizer
  ORG/REPO:QUANT        that quantisation of its GGUF files: Q5_K_M, IQ4_XS, F16 ...
  ORG/REPO/FILE         one file of it; of a split GGUF all parts
  https://URL           a page or file of the hub as above, or any file on any server

Examples:
  assay pull qwen-3-0.6b
  assay pull Qwen/Qwen3-0.6B-GGUF
  assay pull bartowski/Llama-3.2-1B-Instruct-GGUF:Q6_K --dry-run
  assay pull ORG/REPO --include '*.json' --exclude 'onnx/*'
  assay pull https://example.org/model.gguf --local-dir models --sha256 0123...
  generate -m $(assay pull --quiet ORG/REPO) -p "Once upon a time"
  assay pull ORG/REPO --json | jq -c 'select(.event == "progress")'

What is interrupted goes on where it stopped, after a crash too: run the same command again. Files come over several connections;
each is hashed while it arrives and gets its name only when its hash is the hub's. The cache is the one of huggingface_hub and its
relatives: what they have downloaded is found, and they find what is downloaded here.

Environment: HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE, HF_HUB_ETAG_TIMEOUT, HF_HUB_DOWNLOAD_TIMEOUT,
HF_HUB_DISABLE_SYMLINKS, HF_HUB_DISABLE_PROGRESS_BARS, http_proxy, https_proxy, no_proxy, SSL_CERT_FILE, NO_COLOR.

Exit codes: 0 it is here (its path is printed), 1 the hash is wrong or the server changed it under way, 2 usage, 3 could not, 130 interrupted.)";

Json plan_json(const PullPlan& plan) {
  Json files = Json::Array{}, out;
  for (const PlannedFile& file : plan.files) {
    Json row;
    row.set("name", file.name)
        .set("size", file.size ? Json(*file.size) : Json())
        .set("etag", file.etag)
        .set("url", file.url);
    files.push(row.set("path", file.path.string()).set("is_here", file.is_here).set("have_bytes", file.have_bytes));
  }
  out.set("schema", "assay.pull-plan.v1")
      .set("source", plan.source.text())
      .set("repository", plan.repository)
      .set("commit", plan.commit);
  out.set("model", plan.model.string()).set("files", std::move(files)).set("total_bytes", plan.total_bytes);
  return out.set("missing_bytes", plan.missing_bytes).set("free_bytes", plan.free_bytes);
}

void print_plan(const PullPlan& plan) {
  std::size_t width = 4;
  for (const PlannedFile& file : plan.files) width = std::max(width, terminal_safe(file.name).size());
  for (const PlannedFile& file : plan.files) {
    const std::string state = file.is_here          ? "here"
                              : file.have_bytes > 0 ? fmt::format("{} of it here", format_bytes(file.have_bytes))
                                                    : "";
    fmt::print("{:<{}}  {:>9}  {}\n", terminal_safe(file.name), width, file.size ? format_bytes(*file.size) : "?",
               state);
  }
  fmt::print("{} files, {}, {} to download; {} free on the disk of {}\n", plan.files.size(),
             format_bytes(plan.total_bytes), format_bytes(plan.missing_bytes), format_bytes(plan.free_bytes),
             terminal_safe(plan.model.string()));
}

// When nothing helps: how to get the files by hand.
void print_addresses(const PullPlan& plan, const std::string& name) {
  std::fprintf(stderr, "To download by hand, fetch\n");
  for (const PlannedFile& file : plan.files)
    if (!file.is_here) std::fprintf(stderr, "  %s\n", terminal_safe(file.url).c_str());
  const std::string file = plan.files.size() == 1 ? plan.files.front().path.filename().string() : "FOLDER";
  std::fprintf(stderr, "and then: assay import %s --as %s\n", terminal_safe(file).c_str(), terminal_safe(name).c_str());
}

int fail(const Error& error, bool as_json) {
  if (as_json) fmt::print("{}\n", pull_event_json({.step = PullStep::failed, .message = error.message()}, 0));
  return report_error(error);
}

int finish(const PullResult& result, bool as_json) {
  if (!as_json) {
    fmt::print("{}\n", result.model.string());
    return kExitYes;
  }
  Json files = Json::Array{}, out;
  for (const PulledFile& file : result.files) {
    Json row;
    row.set("name", file.name).set("path", file.path.string()).set("size", file.size).set("etag", file.etag);
    files.push(row.set("transferred_bytes", file.transferred_bytes)
                   .set("transfer_s", file.transfer_s)
                   .set("sync_s", file.sync_s));
  }
  out.set("schema", "assay.pull.v1")
      .set("event", "result")
      .set("model", result.model.string())
      .set("files", std::move(files));
  fmt::print("{}\n", to_text(out));
  return kExitYes;
}

// What the catalogue says of the machine that the model needs. Errors: those of refuse().
Result<> check_machine(const Library& library, const PullPlan& plan, const HubOptions& options, bool forces) {
  const HardwareVerdict verdict = check_before_pull(
      library.catalogue(), plan, options.local_folder.empty() ? options.cache_folder : options.local_folder);
  if (!forces) ASSAY_TRY_VOID(refuse(verdict, plan.source.text()));
  for (const auto* list : {&verdict.refusals, &verdict.warnings})
    for (const std::string& text : *list)
      std::fprintf(stderr, "assay: warning: %s %s\n", terminal_safe(plan.source.text()).c_str(), text.c_str());
  return success();
}

// A bundled model is there already: its path, as if it had been pulled.
int print_bundled(Library& library, const std::string& name, bool as_json) {
  const auto found = library.find(name);
  if (!found) return report_error(found.error());
  return finish({.model = found->path, .files = {}}, as_json);
}

Result<HubRequest> requested(const Library* library, const std::string& name, const std::string& endpoint) {
  if (library != nullptr) return hub_request(library->catalogue(), name, endpoint);
  ASSAY_TRY(HubSource source, parse_source(name, endpoint));
  return HubRequest{std::move(source)};
}

// `library` is null where there is no registry: then nothing is recorded.
int carry_out(const PullArguments& arguments, const HubRequest& request, HubOptions options, Library* library) {
  ProgressPrinter::Options style = progress_options(arguments.progress);
  if (!options.shows_progress && style.style == ProgressStyle::bar) style.style = ProgressStyle::lines;
  if (arguments.json) style.style = ProgressStyle::json;
  PullDisplay display(stderr, style);
  const auto events = [&](const PullEvent& event) {
    display.show(event);
    return !stop_requested();
  };
  Hub hub(std::move(options));
  const Result<PullPlan> plan = hub.plan(request.source, request.choice, events);
  if (!plan) {
    display.clear();
    return fail(plan.error(), arguments.json);
  }
  if (arguments.dry_run) {
    if (arguments.json)
      fmt::print("{}\n", to_text(plan_json(*plan), 2));
    else
      print_plan(*plan);
    return kExitYes;
  }
  if (library != nullptr)
    if (const auto fits = check_machine(*library, *plan, hub.options(), arguments.force); !fits)
      return fail(fits.error(), arguments.json);
  // What goes elsewhere is not the registry's.
  const bool is_recorded = library != nullptr && hub.options().local_folder.empty() &&
                           hub.options().cache_folder == library->places().hub_cache;
  const Result<PullResult> result =
      is_recorded ? pull_and_record(*library, hub, *plan, events) : hub.pull(*plan, events);
  display.clear();
  if (result) return finish(*result, arguments.json);
  const int exit_code = fail(result.error(), arguments.json);
  if (result.error().code == Code::network)
    print_addresses(*plan, library != nullptr ? registry_name(*library, *plan) : "NAME");
  return exit_code;
}

int run_pull(PullArguments arguments) {
  Result<HubOptions> options = hub_options_of(arguments.hub);
  if (!options) return report_error(options.error());
  auto opened = open_library();
  // Without a registry a repository can be downloaded all the same.
  if (!opened && arguments.source.find('/') == std::string::npos) return report_error(opened.error());
  if (!opened)
    std::fprintf(stderr, "assay: warning: nothing is recorded: %s\n", terminal_safe(opened.error().message()).c_str());
  Library* const library = opened ? &*opened : nullptr;
  if (arguments.source.empty()) {
    auto name = library->default_model();
    if (!name) return report_error(name.error());
    arguments.source = std::move(*name);
  }
  const CatalogueRow* row = library != nullptr ? library->catalogue().find(arguments.source) : nullptr;
  if (row != nullptr && row->availability == Availability::bundled)
    return print_bundled(*library, arguments.source, arguments.json);
  Result<HubRequest> request = requested(library, arguments.source, options->endpoint);
  if (!request) return report_error(request.error());
  if (!arguments.revision.empty()) request->source.revision = arguments.revision;
  if (arguments.choice.include.empty()) arguments.choice.include = request->choice.include;
  request->choice = arguments.choice;
  return carry_out(arguments, *request, *std::move(options), library);
}

}  // namespace

void add_pull(Command app, int& exit_code) {
  const Command command =
      app.add_command("pull", "Download a model: resumes, checks every hash, shares the hub's cache");
  const auto arguments = std::make_shared<PullArguments>();
  command.footer(kFooter);
  command.add_option("source", arguments->source,
                      "Catalogue id, ORG/REPO, ORG/REPO:QUANT, ORG/REPO/FILE or a URL; none: the default model");
  command.add_option("--revision", arguments->revision, "Branch, tag or commit; default main");
  command.add_option("--include", arguments->choice.include,
                      "Only files that match one of these globs ('*' crosses folders)");
  command.add_option("--exclude", arguments->choice.exclude, "No files that match one of these globs");
  command.add_flag("--all", arguments->choice.all, "Every file of the repository");
  command.add_flag("-n,--dry-run", arguments->dry_run,
                    "Show files, sizes and free space, and download nothing but a shard index");
  command.add_flag("--force", arguments->force,
                    "Although the machine does not seem to have the memory or GPU for the model");
  add_hub_options(command, arguments->hub);
  command.add_flag("--json", arguments->json, "Events and the result as JSON, one object a line, on stdout");
  add_progress_options(command, arguments->progress);
  command.when_given([arguments, &exit_code] { exit_code = run_pull(*arguments); });
}

}  // namespace assay
