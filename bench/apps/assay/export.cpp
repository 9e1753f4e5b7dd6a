// assay export: a model's files under their own names in a folder.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/library_access.h"
#include "runtime/registry/export.h"
#include "runtime/registry/import.h"

namespace assay {
namespace {

struct ExportArguments {
  std::string name, folder;
  ExportOptions options;
  bool json = false;
  ProgressChoice progress;
};

constexpr const char* kFooter =
    R"(Every file is hashed while it is copied and held against what was recorded; SHA256SUMS is written beside them.

Examples:
  assay export qwen-3-4b usb-stick/
  assay export ORG/REPO folder/ --link     hard links: no second copy on the same disk
  assay validate folder/ --level hash      on the other machine)";

// A bundled model has no record: its files are found as an import finds them.
Result<RegistryModel> find_record(Library& library, const std::string& name) {
  ASSAY_TRY(const LocatedModel found, library.find(name));
  if (!found.name.empty()) {
    ASSAY_TRY(auto record, library.registry().find(found.name));
    if (record) return std::move(*record);
  }
  ASSAY_TRY(ImportFound files, find_imports(found.path, library.places()));
  if (files.models.size() != 1)
    return Error{Code::usage, name, fmt::format("holds {} models; name one file", files.models.size())};
  return std::move(files.models.front());
}

int run_export(const ExportArguments& arguments) {
  auto library = open_library();
  if (!library) return report_error(library.error());
  const auto model = find_record(*library, arguments.name);
  if (!model) return report_error(model.error());
  ProgressPrinter printer(stderr, progress_options(arguments.progress));
  const auto show = [&](const ProgressEvent& event) {
    printer.show(event);
    return !stop_requested();
  };
  const auto exported = export_model(*model, arguments.folder, arguments.options, show);
  printer.clear();
  if (!exported) return report_error(exported.error());
  if (arguments.json) {
    Json out{Json::Object{}};
    out.set("schema", "assay.export/1")
        .set("name", model->name)
        .set("bytes", exported->bytes)
        .set("files", to_json(exported->files));
    fmt::print("{}\n", to_text(out, 2));
    return kExitYes;
  }
  for (const RegistryFile& file : exported->files) fmt::print("{}\n", terminal_safe(file.path));
  return kExitYes;
}

}  // namespace

void add_export(Command app, int& exit_code) {
  const Command command = app.add_command("export", "Copy a model's files to a folder, under their own names");
  const auto arguments = std::make_shared<ExportArguments>();
  command.footer(kFooter);
  command.add_option("model", arguments->name, "Catalogue id, ORG/REPO[:QUANT], name of an imported model, or path")
      .required();
  command.add_option("folder", arguments->folder, "Where to; made when it is not there").required();
  command.add_flag("--link", arguments->options.links, "Hard links instead of copies, where the disk allows it");
  command.add_flag("-f,--force", arguments->options.replaces, "Replace files that are there");
  command.add_flag("--json", arguments->json, "Print JSON");
  add_progress_options(command, arguments->progress);
  command.when_given([arguments, &exit_code] { exit_code = run_export(*arguments); });
}

}  // namespace assay
