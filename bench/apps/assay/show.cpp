// assay show: all that is known of one model: its row of the catalogue, its record, and what its files hold.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/info_facts.h"
#include "bench/apps/assay/library_access.h"
#include "runtime/registry/hardware.h"

namespace assay {
namespace {

struct ShowArguments {
  std::string name;
  bool json = false;
};

constexpr const char* kFooter = R"(Examples:
  assay show qwen-3-4b               its row of the catalogue, what it needs, and whether it is here
  assay show                         the selected model
  assay show ORG/REPO:Q8_0 --json    the record of a model in the cache, with its files and hashes)";

void print_line(std::string_view label, const std::string& text) {
  if (!text.empty()) fmt::print("{:<14} {}\n", label, terminal_safe(text));
}

std::string hardware_text(const CatalogueRow& row) {
  std::string out = row.memory_bytes > 0 ? fmt::format("about {} of memory", format_bytes(row.memory_bytes)) : "";
  if (row.gpu != GpuNeed::none)
    out += fmt::format("{}GPU {}", out.empty() ? "" : ", ", enum_names(row.gpu)[static_cast<std::size_t>(row.gpu)]);
  return out;
}

void print_row(const CatalogueRow& row) {
  print_line("id", row.id);
  print_line("name", row.name);
  print_line("description", row.description);
  print_line("provider", row.provider);
  const double millions = static_cast<double>(row.parameters) / 1e6;
  print_line("parameters",
             fmt::format("about {:.{}f} {} ({})", millions < 1000 ? millions : millions / 1000, millions < 1000 ? 1 : 2,
                         millions < 1000 ? "million" : "billion", kSizeClassNames[static_cast<std::size_t>(row.size)]));
  print_line("weights", row.quantization.empty() ? row.format : row.format + ", " + row.quantization);
  print_line("architecture", row.architecture.empty() || row.runs_here()
                                 ? row.architecture
                                 : row.architecture + " (this version opens and checks it and does not run it)");
  print_line("repository",
             row.repository.empty() || row.file.empty() ? row.repository : row.repository + ", " + row.file);
  print_line("download",
             row.bytes > 0 && row.availability == Availability::available ? "about " + format_bytes(row.bytes) : "");
  print_line("needs", hardware_text(row));
  print_line("tags", fmt::format("{}", fmt::join(row.tags, ", ")));
  print_line("licence", row.licence);
  print_line("page", row.page);
  print_line("verified", row.verified ? "yes" : "no: nobody has held this row against its repository");
  print_line("availability", std::string(kAvailabilityNames[static_cast<std::size_t>(row.availability)]) +
                                 (row.reason.empty() ? "" : ": " + row.reason));
  print_line("instead", fmt::format("{}", fmt::join(row.instead, ", ")));
}

void print_record(const RegistryModel& model) {
  print_line("status", std::string(name_of(model.status)) + (model.reason.empty() ? "" : ": " + model.reason) +
                           (model.selected ? ", selected" : ""));
  print_line("source", model.source + (model.repository.empty() ? "" : ": " + model.repository));
  print_line("commit", model.commit + (model.revision.empty() ? "" : " (" + model.revision + ")"));
  print_line("added", model.added);
  if (model.uses > 0) print_line("used", fmt::format("{} times, last {}", model.uses, model.last_used));
  for (const RegistryFile& file : model.files)
    print_line(&file == &model.files.front() ? "files" : "",
               fmt::format("{:>10}  {}  {}", format_bytes(file.bytes), file.name,
                           file.hash.empty() ? "hash not known" : file.hash));
}

void print_downloads(const std::vector<DownloadRecord>& downloads) {
  for (const DownloadRecord& each : downloads)
    print_line("download", fmt::format("{}  {} in {:.1f} s  {}{}", each.started, format_bytes(each.bytes), each.seconds,
                                       each.outcome, each.detail.empty() ? "" : ": " + each.detail));
}

struct Known {
  std::string name;
  const CatalogueRow* row = nullptr;
  std::optional<RegistryModel> record;
  std::vector<DownloadRecord> downloads;
  std::string path;  // empty: not here
};

Result<Known> look_up(Library& library, const std::string& name) {
  Known out{.name = name, .row = library.catalogue().find(name), .record = {}, .downloads = {}, .path = {}};
  const auto found = library.find(name);
  if (found)
    out.path = found->path.string();
  else if (out.row == nullptr && found.error().code != Code::not_found)
    return found.error();
  ASSAY_TRY(out.record, library.registry().find(found && !found->name.empty() ? found->name : name));
  if (!found && out.row == nullptr && !out.record) return found.error();
  if (out.record && out.row == nullptr) out.row = library.catalogue().find(out.record->name);
  ASSAY_TRY(out.downloads, library.registry().downloads());
  std::erase_if(out.downloads, [&](const DownloadRecord& each) {
    return each.model != name && (!out.record || each.model != out.record->name);
  });
  return out;
}

int print_json(const Known& known) {
  Json out{Json::Object{}};
  out.set("schema", "assay.show/1").set("name", known.name).set("catalogue", known.row ? to_json(*known.row) : Json());
  out.set("record", known.record ? to_json(*known.record) : Json()).set("downloads", to_json(known.downloads));
  Json info;
  if (!known.path.empty())
    if (const auto file = open_model(known.path)) info = facts_json(*file, gather_facts(*file, {.context = 0}));
  out.set("path", known.path.empty() ? Json() : Json(known.path)).set("info", std::move(info));
  fmt::print("{}\n", to_text(out, 2));
  return kExitYes;
}

int run_show(ShowArguments arguments) {
  auto library = open_library();
  if (!library) return report_error(library.error());
  if (arguments.name.empty()) {
    auto name = library->default_model();
    if (!name) return report_error(name.error());
    arguments.name = *name;
  }
  const auto known = look_up(*library, arguments.name);
  if (!known) return report_error(known.error());
  if (arguments.json) return print_json(*known);
  if (known->row)
    print_row(*known->row);
  else if (known->record)
    print_line("name", known->record->name);
  if (known->record) print_record(*known->record);
  print_downloads(known->downloads);
  if (known->path.empty()) {
    const bool can_be_had = known->row && known->row->availability == Availability::available;
    if (can_be_had) fmt::print("\nnot here; get it with: assay pull {}\n", terminal_safe(known->name));
    return kExitYes;
  }
  fmt::print("\n");
  return show_info(known->path);
}

}  // namespace

void add_show(Command app, int& exit_code) {
  const Command command = app.add_command("show", "Tell all that is known of a model: catalogue, record, files");
  const auto arguments = std::make_shared<ShowArguments>();
  command.footer(kFooter);
  command.add_option("model,-m,--model", arguments->name,
                      "Catalogue id, ORG/REPO[:QUANT], name of an imported model, or path; none: the selected one");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.when_given([arguments, &exit_code] { exit_code = run_show(*arguments); });
}

}  // namespace assay
