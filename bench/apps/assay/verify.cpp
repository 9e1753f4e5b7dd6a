// assay verify: whether the models that are here are still what they were, and their repair.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/hub_options.h"
#include "bench/apps/assay/library_access.h"
#include "bench/apps/assay/pull_display.h"
#include "runtime/core/mapped_file.h"
#include "runtime/registry/verify.h"

namespace assay {
namespace {

struct VerifyArguments {
  std::vector<std::string> names;
  bool all = false, repair = false, json = false;
  ProgressChoice progress;
};

constexpr const char* kFooter =
    R"(Every file is hashed and held against what the hub or the import recorded, and the weights' structure is checked. Nothing is asked of
the network, unless --repair has something to fetch: then only what is damaged or missing comes again.

Examples:
  assay verify qwen-3-4b
  assay verify --all --json | jq -r '.models[] | select(.is_good | not) | .name'
  assay verify --all --repair

Exit codes: 0 all good (or repaired), 1 something is damaged, 2 usage, 3 could not, 130 interrupted.)";

Result<std::vector<RegistryModel>> chosen_models(Library& library, const VerifyArguments& arguments) {
  ASSAY_TRY(std::vector<RegistryModel> all, library.registry().models());
  std::vector<RegistryModel> out;
  if (arguments.all) {
    for (RegistryModel& model : all)
      if (model.is_here() || model.status == ModelStatus::stale) out.push_back(std::move(model));
    return out;
  }
  for (const std::string& name : arguments.names) {
    ASSAY_TRY(auto record, library.registry().find(name));
    if (!record) {
      ASSAY_TRY(const LocatedModel found, library.find(name));
      if (!found.name.empty()) {
        ASSAY_TRY(record, library.registry().find(found.name));
      }
    }
    if (!record)
      return Error{Code::usage, name,
                   "has no record to compare with; assay validate checks files, assay import records them"};
    out.push_back(std::move(*record));
  }
  return out;
}

void print_verified(const VerifiedModel& model) {
  fmt::print("{}  {}{}\n", model.is_good ? "good" : "bad ", terminal_safe(model.name),
             model.is_repaired ? " (repaired)" : "");
  for (const VerifiedFile& file : model.files)
    if (file.verdict != FileVerdict::good)
      fmt::print("  {}  {}: {}\n", kFileVerdictNames[static_cast<std::size_t>(file.verdict)], terminal_safe(file.name),
                 terminal_safe(file.detail));
  for (const std::string& error : model.errors) fmt::print("  {}\n", terminal_safe(error));
}

int run_verify(const VerifyArguments& arguments) {
  if (arguments.names.empty() != arguments.all) return report_error({Code::usage, "verify", "needs models, or --all"});
  auto library = open_library();
  if (!library) return report_error(library.error());
  const auto hub = hub_options_here();
  if (!hub) return report_error(hub.error());
  const auto models = chosen_models(*library, arguments);
  if (!models) return report_error(models.error());
  ProgressPrinter printer(stderr, progress_options(arguments.progress));
  const auto show = [&](const ProgressEvent& event) {
    printer.show(event);
    return !stop_requested();
  };
  std::vector<VerifiedModel> verified;
  bool is_all_good = true, could_repair = true;
  for (const RegistryModel& model : *models) {
    auto result = verify_model(model, show);
    printer.clear();
    if (!result) return report_error(result.error());
    if (!result->is_good && arguments.repair) {
      PullDisplay display(stderr, pull_style(arguments.progress));
      const auto events = [&](const PullEvent& event) {
        display.show(event);
        return !stop_requested();
      };
      const auto repaired = repair_model(*library, *hub, model, *result, events);
      display.clear();
      if (!repaired) {
        could_repair = false;
        report_error(repaired.error());
      } else {
        // The commit's files are the same ones: the record still holds.
        result = verify_model(model, show);
        printer.clear();
        if (!result) return report_error(result.error());
        result->is_repaired = result->is_good;
      }
    }
    is_all_good = is_all_good && result->is_good;
    if (!arguments.json) print_verified(*result);
    verified.push_back(std::move(*result));
  }
  if (arguments.json) {
    Json out{Json::Object{}};
    fmt::print("{}\n", to_text(out.set("schema", "assay.verify/1").set("models", to_json(verified)), 2));
  }
  if (is_all_good) return kExitYes;
  return could_repair ? kExitNo : kExitCouldNot;
}

}  // namespace

void add_verify(Command app, int& exit_code) {
  const Command command = app.add_command("verify", "Check the hashes of models that are here; repair what is damaged");
  const auto arguments = std::make_shared<VerifyArguments>();
  command.footer(kFooter);
  command.add_option("models", arguments->names, "Catalogue ids, ORG/REPO[:QUANT], or names of imported models");
  command.add_flag("--all", arguments->all, "Every model of the registry");
  command.add_flag("--repair", arguments->repair, "Fetch what is damaged or missing again");
  command.add_flag("--json", arguments->json, "Print JSON");
  add_progress_options(command, arguments->progress);
  command.when_given([arguments, &exit_code] {
    survive_shrinking_files();
    exit_code = run_verify(*arguments);
  });
}

}  // namespace assay
