// assay use: which model is meant when none is named.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/library_access.h"

namespace assay {
namespace {

struct UseArguments {
  std::string name;
  bool none = false, json = false;
};

constexpr const char* kFooter = R"(Examples:
  assay use qwen-3-0.6b      from now on assay info, assay bench and generate without a model mean this one
  assay use                  which one it is
  assay use --none           the recommended one again)";

// The name to keep: what the registry or the catalogue call it.
Result<std::string> name_to_select(Library& library, const std::string& name) {
  if (const CatalogueRow* row = library.catalogue().find(name)) {
    if (row->availability == Availability::unavailable) return library.find(name).error();
    return row->id;
  }
  ASSAY_TRY(const LocatedModel found, library.find(name));
  if (found.name.empty())
    return Error{Code::usage, name, "is a path; give the model a name first: assay import " + name};
  return found.name;
}

int run_use(const UseArguments& arguments) {
  auto library = open_library();
  if (!library) return report_error(library.error());
  Result<> done = success();
  if (!arguments.name.empty()) {
    const auto name = name_to_select(*library, arguments.name);
    if (!name) return report_error(name.error());
    done = library->registry().select(*name);
  } else if (arguments.none) {
    done = library->registry().select("");
  }
  if (!done) return report_error(done.error());
  const auto selected = library->registry().selected();
  const auto name = library->default_model();
  if (!selected) return report_error(selected.error());
  if (!name) return report_error(name.error());
  const auto found = library->find(*name);
  if (arguments.json) {
    Json out{Json::Object{}};
    out.set("schema", "assay.use/1")
        .set("model", *name)
        .set("selected", !selected->empty())
        .set("path", found ? Json(found->path.string()) : Json());
    fmt::print("{}\n", to_text(out, 2));
    return kExitYes;
  }
  fmt::print("{}{}\n", terminal_safe(*name), selected->empty() ? " (recommended; none is selected)" : "");
  if (!found) std::fprintf(stderr, "assay: note: %s\n", terminal_safe(found.error().message()).c_str());
  return kExitYes;
}

}  // namespace

void add_use(Command app, int& exit_code) {
  const Command command = app.add_command("use", "Choose the model that is meant when none is named");
  const auto arguments = std::make_shared<UseArguments>();
  command.footer(kFooter);
  const Option name = command.add_option("model,-m,--model", arguments->name,
                                          "Catalogue id, ORG/REPO[:QUANT], or name of an imported model");
  command.add_flag("--none", arguments->none, "Choose none: the recommended one is meant again").excludes(name);
  command.add_flag("--json", arguments->json, "Print JSON");
  command.when_given([arguments, &exit_code] { exit_code = run_use(*arguments); });
}

}  // namespace assay
