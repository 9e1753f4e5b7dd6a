// assay outdated and assay update: models that a hub has newer ones of.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/hub_options.h"
#include "bench/apps/assay/library_access.h"
#include "bench/apps/assay/pull_display.h"
#include "bench/harness/text_table.h"
#include "runtime/registry/removal.h"
#include "runtime/registry/verify.h"

namespace assay {
namespace {

struct UpdateArguments {
  std::vector<std::string> names;
  HubArguments hub;
  bool all = false, force = false, remove_old = false, json = false;
  ProgressChoice progress;
};

constexpr const char* kOutdatedFooter = R"(Examples:
  assay outdated              every model that came from a hub
  assay outdated qwen-3-4b --json

Exit codes: 0 all are the newest, 1 some are not, 2 usage, 3 the hub could not be asked about some.)";

constexpr const char* kUpdateFooter =
    R"(Only files whose hash has changed are fetched; the others are shared with the old snapshot, which stays (as NAME@COMMIT) unless
--remove-old is given.

Examples:
  assay update qwen-3-4b
  assay update --all --remove-old)";

Result<std::vector<RegistryModel>> chosen_models(Library& library, const std::vector<std::string>& names) {
  ASSAY_TRY(std::vector<RegistryModel> all, library.registry().models());
  if (names.empty()) {
    std::erase_if(all, [](const RegistryModel& model) { return !can_be_renewed(model); });
    return all;
  }
  std::vector<RegistryModel> out;
  for (const std::string& name : names) {
    ASSAY_TRY(const LocatedModel found, library.find(name));
    ASSAY_TRY(auto record, library.registry().find(found.name));
    if (!record || !can_be_renewed(*record))
      return Error{Code::usage, name, "did not come from a hub, or was asked for by its commit: there is no newer one"};
    out.push_back(std::move(*record));
  }
  return out;
}

std::string state_of(const Newer& newer) {
  if (!newer.problem.empty()) return "unknown: " + newer.problem;
  if (newer.is_outdated)
    return fmt::format("outdated: {} files, {} to fetch", newer.changed_files, format_bytes(newer.missing_bytes));
  return newer.commit == newer.newest_commit ? "newest" : "newest (other files of the repository have changed)";
}

void print_table(const std::vector<Newer>& list) {
  TextTable table({{"Model"}, {"Here"}, {"Hub"}, {"State"}});
  for (const Newer& newer : list)
    table.add({terminal_safe(newer.name), newer.commit.substr(0, 7),
               newer.newest_commit.empty() ? "-" : newer.newest_commit.substr(0, 7), terminal_safe(state_of(newer))});
  fmt::print("{}", table.text());
}

int print_list(const char* schema, const std::vector<Newer>& list, bool as_json) {
  if (!as_json) return print_table(list), kExitYes;
  Json out{Json::Object{}};
  fmt::print("{}\n", to_text(out.set("schema", schema).set("models", to_json(list)), 2));
  return kExitYes;
}

// Fetches what has changed. Errors: those of the hub, of refuse(), and of remove_files.
Result<> renew(Library& library, Hub& hub, const RegistryModel& model, const Renewal& renewal,
               const UpdateArguments& arguments, PullEvents events) {
  const HardwareVerdict verdict = check_before_pull(library.catalogue(), renewal.plan, hub.options().cache_folder);
  if (!arguments.force) ASSAY_TRY_VOID(refuse(verdict, model.name));
  ASSAY_TRY([[maybe_unused]] const PullResult pulled, pull_and_record(library, hub, renewal.plan, events));
  if (!arguments.remove_old) return success();
  ASSAY_TRY(const std::vector<RegistryModel> all, library.registry().models());
  for (const RegistryModel& old : all)
    if (old.path == model.path) {
      ASSAY_TRY_VOID(remove_files(plan_removal(old, all), old, library.places().hub_cache));
      ASSAY_TRY_VOID(library.registry().remove(old.name));
      break;
    }
  ASSAY_TRY_VOID(library.reconcile());
  return success();
}

int run(const UpdateArguments& arguments, bool fetches) {
  if (fetches && arguments.names.empty() != arguments.all)
    return report_error({Code::usage, "update", "needs models, or --all"});
  auto library = open_library();
  if (!library) return report_error(library.error());
  auto options = hub_options_of(arguments.hub);
  if (!options) return report_error(options.error());
  options->cache_folder = library->places().hub_cache;
  const auto models = chosen_models(*library, arguments.names);
  if (!models) return report_error(models.error());
  PullDisplay display(stderr, pull_style(arguments.progress));
  const auto events = [&](const PullEvent& event) {
    display.show(event);
    return !stop_requested();
  };
  Hub hub(*std::move(options));
  if (hub.options().is_offline)
    return report_error({Code::network, "", "offline: the hub cannot be asked (HF_HUB_OFFLINE, --offline)"});
  std::vector<Newer> list;
  bool has_problem = false, is_outdated = false;
  for (const RegistryModel& model : *models) {
    auto found = look_for_newer(hub, model, events);
    Result<> renewed = success();
    if (found && fetches && found->newer.commit != found->newer.newest_commit)
      renewed = renew(*library, hub, model, *found, arguments, events);
    display.clear();
    const Error* problem = !found ? &found.error() : !renewed ? &renewed.error() : nullptr;
    if (problem != nullptr && problem->code == Code::interrupted) return report_error(*problem);
    Newer newer;
    if (found) newer = found->newer;
    newer.name = model.name;
    newer.commit = model.commit;
    if (problem != nullptr) newer.problem = problem->message();
    has_problem = has_problem || problem != nullptr;
    is_outdated = is_outdated || newer.is_outdated;
    list.push_back(std::move(newer));
  }
  print_list(fetches ? "assay.update/1" : "assay.outdated/1", list, arguments.json);
  if (has_problem) return kExitCouldNot;
  return is_outdated && !fetches ? kExitNo : kExitYes;
}

const Command add_command(Command app, const char* name, const char* about, const char* footer,
                      const std::shared_ptr<UpdateArguments>& arguments) {
  const Command command = app.add_command(name, about);
  command.footer(footer);
  command.add_option("models", arguments->names, "Catalogue ids or ORG/REPO[:QUANT]");
  add_hub_options(command, arguments->hub);
  command.add_flag("--json", arguments->json, "Print JSON");
  add_progress_options(command, arguments->progress);
  return command;
}

}  // namespace

void add_outdated(Command app, int& exit_code) {
  const auto arguments = std::make_shared<UpdateArguments>();
  const Command command =
      add_command(app, "outdated", "Ask the hub which models have newer commits", kOutdatedFooter, arguments);
  command.when_given([arguments, &exit_code] { exit_code = run(*arguments, false); });
}

void add_update(Command app, int& exit_code) {
  const auto arguments = std::make_shared<UpdateArguments>();
  const Command command =
      add_command(app, "update", "Fetch what has changed of models on the hub", kUpdateFooter, arguments);
  command.add_flag("--all", arguments->all, "Every model that came from a hub");
  command.add_flag("--force", arguments->force,
                    "Although the machine does not seem to have the disk space or memory for it");
  command.add_flag("--remove-old", arguments->remove_old, "Remove the old snapshot afterwards");
  command.when_given([arguments, &exit_code] { exit_code = run(*arguments, true); });
}

}  // namespace assay
