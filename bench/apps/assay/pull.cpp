// assay pull: models from a hub or a URL, complete, checked and in their place.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/hub_options.h"
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
  bool dry_run = false, json = false;
};

constexpr const char* kFooter = R"(What SOURCE may be:
  ORG/REPO              the model of a repository: of GGUF files Q4_K_M, else Q8_0, else the only one, with all its parts;
                        of safetensors the weights (sharded ones by their index), configuration and tokenizer
  ORG/REPO:QUANT        that quantisation of its GGUF files: Q5_K_M, IQ4_XS, F16 ...
  ORG/REPO/FILE         one file of it; of a split GGUF all parts
  https://URL           a page or file of the hub as above, or any file on any server

Examples:
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
    row.set("name", file.name).set("size", file.size ? Json(*file.size) : Json()).set("etag", file.etag).set("url", file.url);
    files.push(row.set("path", file.path.string()).set("is_here", file.is_here).set("have_bytes", file.have_bytes));
  }
  out.set("schema", "assay.pull-plan.v1").set("source", plan.source.text()).set("repository", plan.repository).set("commit", plan.commit);
  out.set("model", plan.model.string()).set("files", std::move(files)).set("total_bytes", plan.total_bytes);
  return out.set("missing_bytes", plan.missing_bytes).set("free_bytes", plan.free_bytes);
}

void print_plan(const PullPlan& plan) {
  std::size_t width = 4;
  for (const PlannedFile& file : plan.files) width = std::max(width, terminal_safe(file.name).size());
  for (const PlannedFile& file : plan.files) {
    const std::string state = file.is_here ? "here" : file.have_bytes > 0 ? fmt::format("{} of it here", format_bytes(file.have_bytes)) : "";
    fmt::print("{:<{}}  {:>9}  {}\n", terminal_safe(file.name), width, file.size ? format_bytes(*file.size) : "?", state);
  }
  fmt::print("{} files, {}, {} to download; {} free on the disk of {}\n", plan.files.size(), format_bytes(plan.total_bytes),
             format_bytes(plan.missing_bytes), format_bytes(plan.free_bytes), terminal_safe(plan.model.string()));
}

// When nothing helps: how to get the files by hand.
void print_addresses(const PullPlan& plan) {
  std::fprintf(stderr, "To download by hand, fetch\n");
  for (const PlannedFile& file : plan.files)
    if (!file.is_here) std::fprintf(stderr, "  %s\n", terminal_safe(file.url).c_str());
  std::fprintf(stderr, "and then: assay import %s\n", plan.files.size() == 1 ? terminal_safe(plan.files.front().path.filename().string()).c_str() : "FOLDER");
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
    files.push(row.set("transferred_bytes", file.transferred_bytes).set("transfer_s", file.transfer_s).set("sync_s", file.sync_s));
  }
  out.set("schema", "assay.pull.v1").set("event", "result").set("model", result.model.string()).set("files", std::move(files));
  fmt::print("{}\n", to_text(out));
  return kExitYes;
}

int run_pull(const PullArguments& arguments) {
  Result<HubOptions> options = hub_options_of(arguments.hub);
  if (!options) return report_error(options.error());
  if (arguments.source.empty()) return report_error({Code::usage, "pull", "needs a SOURCE: ORG/REPO, ORG/REPO:QUANT, ORG/REPO/FILE or a URL"});
  Result<HubSource> source = parse_source(arguments.source, options->endpoint);
  if (!source) return report_error(source.error());
  if (!arguments.revision.empty()) source->revision = arguments.revision;

  ProgressPrinter::Options style = progress_options(arguments.progress);
  if (!options->shows_progress && style.style == ProgressStyle::bar) style.style = ProgressStyle::lines;
  if (arguments.json) style.style = ProgressStyle::json;
  PullDisplay display(stderr, style);
  const auto events = [&](const PullEvent& event) {
    display.show(event);
    return !stop_requested();
  };
  Hub hub(*std::move(options));
  const Result<PullPlan> plan = hub.plan(*source, arguments.choice, events);
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
  const Result<PullResult> result = hub.pull(*plan, events);
  display.clear();
  if (result) return finish(*result, arguments.json);
  const int exit_code = fail(result.error(), arguments.json);
  if (result.error().code == Code::network) print_addresses(*plan);
  return exit_code;
}

}  // namespace

void add_pull(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("pull", "Download a model: resumes, checks every hash, shares the hub's cache");
  const auto arguments = std::make_shared<PullArguments>();
  command->footer(kFooter);
  command->add_option("source", arguments->source, "ORG/REPO, ORG/REPO:QUANT, ORG/REPO/FILE or a URL");
  command->add_option("--revision", arguments->revision, "Branch, tag or commit; default main");
  command->add_option("--include", arguments->choice.include, "Only files that match one of these globs ('*' crosses folders)");
  command->add_option("--exclude", arguments->choice.exclude, "No files that match one of these globs");
  command->add_flag("--all", arguments->choice.all, "Every file of the repository");
  command->add_flag("-n,--dry-run", arguments->dry_run, "Show files, sizes and free space, and download nothing but a shard index");
  add_hub_options(*command, arguments->hub);
  command->add_flag("--json", arguments->json, "Events and the result as JSON, one object a line, on stdout");
  add_progress_options(*command, arguments->progress);
  command->callback([arguments, &exit_code] { exit_code = run_pull(*arguments); });
}

}  // namespace assay
