// assay rm: takes models out of the registry and the cache.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/library_access.h"
#include "runtime/registry/removal.h"

namespace assay {
namespace {

struct RemoveArguments {
  std::vector<std::string> names;
  bool yes = false, dry_run = false, json = false;
};

constexpr const char* kFooter =
    R"(Only blobs that no other snapshot of the cache refers to are freed, and what other programs put there beside this model stays.
Files of imported models are yours: they stay where they are, and assay forgets them.

Examples:
  assay rm qwen-3-4b
  assay rm ORG/REPO:Q8_0 -y
  assay rm qwen-3-4b --dry-run      what would go, and how many bytes that frees)";

Result<RegistryModel> find_record(Library& library, const std::string& name) {
  ASSAY_TRY(auto record, library.registry().find(name));
  if (!record) {
    const CatalogueRow* row = library.catalogue().find(name);
    if (row && row->availability == Availability::bundled)
      return Error{Code::usage, name, "is part of the source of assay; there is nothing to remove"};
    if (row) return Error{Code::not_found, name, "is not here"};
    ASSAY_TRY(const LocatedModel found, library.find(name));
    if (found.name.empty())
      return Error{Code::usage, name, "is a file that assay did not put there; remove it yourself"};
    ASSAY_TRY(record, library.registry().find(found.name));
  }
  if (record->status == ModelStatus::downloading)
    return Error{Code::denied, record->name, "is being downloaded by another process; stop that first"};
  return std::move(*record);
}

void print_plan(const RegistryModel& model, const RemovalPlan& plan) {
  if (model.source == "hub" || model.source == "url") {
    std::fprintf(stderr, "%s: frees %s (%zu files)\n", terminal_safe(model.name).c_str(),
                 format_bytes(plan.freed_bytes).c_str(), plan.blobs.size());
    if (!plan.kept.empty())
      std::fprintf(stderr, "  %s stay: other snapshots refer to them\n", format_bytes(plan.kept_bytes).c_str());
  } else {
    std::fprintf(stderr, "%s: is forgotten; its files stay (%s)\n", terminal_safe(model.name).c_str(),
                 terminal_safe(model.path).c_str());
  }
}

Json removed_json(const RegistryModel& model, const RemovalPlan& plan) {
  Json out{Json::Object{}};
  out.set("name", model.name)
      .set("source", model.source)
      .set("freed_bytes", plan.freed_bytes)
      .set("kept_bytes", plan.kept_bytes);
  Json files{Json::Array{}};
  for (const auto& blob : plan.blobs) files.push(blob.string());
  return std::move(out.set("removed", std::move(files)));
}

// Removes one model. Errors: interrupted when the user says no.
Result<Json> remove_model(Library& library, const std::string& name, const RemoveArguments& arguments) {
  ASSAY_TRY(const RegistryModel model, find_record(library, name));
  ASSAY_TRY(const std::vector<RegistryModel> all, library.registry().models());
  const RemovalPlan plan = plan_removal(model, all);
  if (!arguments.json) print_plan(model, plan);
  if (arguments.dry_run) return removed_json(model, plan);
  if (!arguments.yes && !user_agrees("Remove it?"))
    return Error{Code::usage, model.name, "was not removed; say yes at a terminal, or give -y"};
  ASSAY_TRY_VOID(
      remove_files(plan, model, model.source == "url" ? library.places().url_files : library.places().hub_cache));
  ASSAY_TRY_VOID(library.registry().remove(model.name));
  if (model.selected && !arguments.json) {
    const auto now = library.default_model();
    if (now)
      std::fprintf(stderr, "it was selected; now %s is meant when no model is named\n", terminal_safe(*now).c_str());
  }
  return removed_json(model, plan);
}

int run_remove(const RemoveArguments& arguments) {
  auto library = open_library();
  if (!library) return report_error(library.error());
  Json models{Json::Array{}};
  for (const std::string& name : arguments.names) {
    auto removed = remove_model(*library, name, arguments);
    if (!removed) return report_error(removed.error());
    models.push(std::move(*removed));
  }
  if (!arguments.json) return kExitYes;
  Json out{Json::Object{}};
  fmt::print(
      "{}\n",
      to_text(out.set("schema", "assay.rm/1").set("dry_run", arguments.dry_run).set("models", std::move(models)), 2));
  return kExitYes;
}

}  // namespace

void add_remove(Command app, int& exit_code) {
  const Command command = app.add_command("rm", "Remove models and free what nothing else refers to");
  const auto arguments = std::make_shared<RemoveArguments>();
  command.footer(kFooter);
  command.add_option("models", arguments->names, "Catalogue ids, ORG/REPO[:QUANT], or names of imported models")
      .required();
  command.add_flag("-y,--yes", arguments->yes, "Do not ask");
  command.add_flag("--dry-run", arguments->dry_run, "Tell what would go and remove nothing");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.when_given([arguments, &exit_code] { exit_code = run_remove(*arguments); });
}

}  // namespace assay
