// assay import: adopts models that came another way, where they lie.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/library_access.h"
#include "runtime/registry/import.h"

namespace assay {
namespace {

struct ImportArguments {
  std::string path, name;
  bool json = false;
  ProgressChoice progress;
};

constexpr const char* kFooter =
    R"(PATH is a .gguf or .safetensors file, a folder, the folder of an ollama or LM Studio store, or the word ollama or lmstudio for the store in
its usual place. Files stay where they are and are not changed; assay opens each, hashes it (ollama's names are hashes), and
knows it by its name from then on.

Examples:
  assay import model.gguf
  assay import qwen3-4b.gguf --as qwen-3-4b     a file downloaded by hand stands for that row of the catalogue
  assay import ollama                           names like ollama/llama3.2:1b
  assay import /data/lmstudio/models

Exit codes: 0 all adopted, 1 some could not be, 2 usage, 3 nothing there that can be read.)";

// A file said to be a row of the catalogue should look like it.
std::string doubt(const RegistryModel& model, const Catalogue& catalogue) {
  const CatalogueRow* row = catalogue.find(model.name);
  if (row == nullptr) return "";
  if (row->availability != Availability::available)
    return "is " + std::string(kAvailabilityNames[static_cast<std::size_t>(row->availability)]) +
           " in the catalogue; choose another name with --as";
  if (row->format != model.format)
    return fmt::format("is {} in the catalogue, and this is {}; choose another name with --as", row->format,
                       model.format);
  return "";
}

Result<> adopt(Library& library, RegistryModel& model, ProgressFn progress) {
  if (const std::string problem = doubt(model, library.catalogue()); !problem.empty())
    return Error{Code::usage, model.name, problem};
  ASSAY_TRY_VOID(check_name_is_free(library.registry(), model));
  ASSAY_TRY_VOID(complete_import(model, progress));
  return library.registry().put(model);
}

int run_import(const ImportArguments& arguments) {
  auto library = open_library();
  if (!library) return report_error(library.error());
  auto found = find_imports(arguments.path, library->places());
  if (!found) return report_error(found.error());
  if (!arguments.name.empty()) {
    if (found->models.size() != 1)
      return report_error(
          {Code::usage, "--as", fmt::format("names one model, and there are {}", found->models.size())});
    found->models.front().name = arguments.name;
  }
  ProgressPrinter printer(stderr, progress_options(arguments.progress));
  const auto show = [&](const ProgressEvent& event) {
    printer.show(event);
    return !stop_requested();
  };
  std::vector<RegistryModel> adopted;
  for (RegistryModel& model : found->models) {
    const auto done = adopt(*library, model, show);
    printer.clear();
    if (!done && done.error().code == Code::interrupted) return report_error(done.error());
    if (done)
      adopted.push_back(std::move(model));
    else
      found->problems.push_back(done.error().message());
  }
  for (const std::string& problem : found->problems) print_error(problem);
  if (arguments.json) {
    Json out{Json::Object{}};
    out.set("schema", "assay.import/1")
        .set("kind", found->kind)
        .set("models", to_json(adopted))
        .set("problems", to_json(found->problems));
    fmt::print("{}\n", to_text(out, 2));
  } else {
    for (const RegistryModel& model : adopted)
      fmt::print("{}  {}  {}\n", terminal_safe(model.name), format_bytes(model.bytes), terminal_safe(model.path));
  }
  if (adopted.empty()) return kExitCouldNot;
  return found->problems.empty() ? kExitYes : kExitNo;
}

}  // namespace

void add_import(Command app, int& exit_code) {
  const Command command = app.add_command("import", "Adopt models that are on the disk already");
  const auto arguments = std::make_shared<ImportArguments>();
  command.footer(kFooter);
  command.add_option("path", arguments->path, "File, folder or store").required();
  command.add_option("--as", arguments->name, "The model's name; a catalogue id makes it stand for that row")
      .value_name("NAME");
  command.add_flag("--json", arguments->json, "Print JSON");
  add_progress_options(command, arguments->progress);
  command.when_given([arguments, &exit_code] { exit_code = run_import(*arguments); });
}

}  // namespace assay
