// assay list: which models there are, which are here, and how fast they were.
#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/library_access.h"
#include "bench/harness/file_hash.h"
#include "bench/harness/text_table.h"
#include "bench/harness/store.h"
#include "runtime/core/sha256.h"
#include "runtime/registry/hardware.h"
#include "runtime/registry/listing.h"

namespace assay {
namespace {

struct ListArguments {
  std::string size, tag;
  bool here = false, fits = false, json = false;
};

constexpr const char* kFooter =
    R"(Marks: > selected (assay use ID), * recommended. Status: bundled, available (in the catalogue), downloading, downloaded, failed, stale
(its files are gone or changed), unavailable. tok/s is the last decode speed that assay bench measured of it.

Examples:
  assay list
  assay list --downloaded
  assay list --size small --fits        what runs in this machine's memory
  assay list --tag reasoning --json | jq -r '.models[] | select(.status == "available") | .name'

Rows of your own, and changes to rows: catalogue.yaml in $ASSAY_HOME (else $XDG_DATA_HOME/assay).)";

// Bundled files are hashed, which is remembered; models of the registry have their hashes there.
std::string hash_of(const ListedModel& listed, const std::vector<RegistryModel>& records, const Places& places) {
  for (const RegistryModel& record : records)
    if (record.name == listed.name) return record.weights_hash();
  if (listed.status != "bundled") return "";
  const auto file = open_model(listed.path);
  if (!file) return "";
  std::vector<std::filesystem::path> paths;
  for (const MappedFile& mapped : file->files) paths.push_back(mapped.path());
  const auto hash = hash_files(paths, places.cache);
  return hash ? *hash : "";
}

// The results are beside the point: without them the column stays empty.
void add_speeds(std::vector<ListedModel>& models, const std::vector<RegistryModel>& records, const Places& places) {
  auto store = open_results();
  if (!store) return;
  const auto speeds = store->last_speeds();
  if (!speeds || speeds->empty()) return;
  std::map<std::string, std::pair<std::string, double>> newest;  // hash -> time, speed
  for (const auto& speed : *speeds)
    if (auto& known = newest[speed.model_sha256]; known.first < speed.time) known = {speed.time, speed.decode_tps};
  for (ListedModel& model : models) {
    if (!model.is_here()) continue;
    const auto found = newest.find(hash_of(model, records, places));
    if (found != newest.end()) model.decode_tps = found->second.second;
  }
}

std::string parameters_text(std::uint64_t count) {
  if (count == 0) return "-";
  const double value = static_cast<double>(count);
  return count >= 1'000'000'000 ? fmt::format("{:.1f} B", value / 1e9) : fmt::format("{:.1f} M", value / 1e6);
}

void print_table(const std::vector<ListedModel>& models) {
  TextTable table({{""},
                   {"Model"},
                   {"Status"},
                   {"Size", Align::right},
                   {"Parameters", Align::right},
                   {"Weights"},
                   {"Memory", Align::right},
                   {"tok/s", Align::right}});
  for (const ListedModel& model : models) {
    const std::string memory =
        model.memory_bytes == 0 ? "-" : format_bytes(model.memory_bytes) + (model.fits.value_or(true) ? "" : " !");
    const std::string status =
        model.status + (model.runs_here.value_or(true) || model.status == "unavailable" ? "" : ", does not run");
    table.add({std::string(model.selected ? ">" : "") + (model.recommended ? "*" : ""), terminal_safe(model.name),
               status, model.bytes > 0 ? format_bytes(model.bytes) : "-", parameters_text(model.parameters),
               terminal_safe(model.quantization.empty() ? model.format : model.quantization), memory,
               model.decode_tps ? figure(*model.decode_tps) : "-"});
  }
  fmt::print("{}", table.text());
}

Json document(const std::vector<ListedModel>& models, std::uint64_t storage, const Library& library,
              const HardwareState& hardware) {
  Json out{Json::Object{}};
  out.set("schema", "assay.list/1").set("models", to_json(models)).set("storage_bytes", storage);
  out.set("cache", library.places().hub_cache.string()).set("hardware", to_json(hardware));
  return out;
}

int run_list(const ListArguments& arguments) {
  auto library = open_library();
  if (!library) return report_error(library.error());
  ListFilter filter{.tag = arguments.tag, .here_only = arguments.here, .fitting_only = arguments.fits};
  for (std::size_t i = 0; i < kSizeClassNames.size(); ++i)
    if (arguments.size == kSizeClassNames[i]) filter.size = static_cast<SizeClass>(i);
  const HardwareState hardware = read_hardware(library->places().hub_cache);
  auto models = list_models(*library, filter, hardware.memory_bytes);
  if (!models) return report_error(models.error());
  const auto records = library->registry().models();
  if (!records) return report_error(records.error());
  add_speeds(*models, *records, library->places());
  const std::uint64_t storage = storage_of(*records);
  if (arguments.json) {
    fmt::print("{}\n", to_text(document(*models, storage, *library, hardware), 2));
    return kExitYes;
  }
  print_table(*models);
  fmt::print("\n{} in files of models ({}); > selected, * recommended, ! more than this machine's {} of memory\n",
             format_bytes(storage), terminal_safe(library->places().hub_cache.string()),
             format_bytes(hardware.memory_bytes));
  return kExitYes;
}

}  // namespace

void add_list(Command app, int& exit_code) {
  const Command command = app.add_command("list", "List the models there are and those that are here");
  const auto arguments = std::make_shared<ListArguments>();
  command.footer(kFooter);
  command
      .add_option("--size", arguments->size,
                   "Only small (below 2.5 thousand million parameters), medium (below 10) or large ones")
      .one_of({"small", "medium", "large"});
  command.add_option("--tag", arguments->tag,
                      "Only those with this tag: chat, code, mlx, reasoning, vision, test ...");
  command.add_flag("--downloaded", arguments->here, "Only those that are here");
  command.add_flag("--fits", arguments->fits, "Only those that fit in this machine's memory");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.when_given([arguments, &exit_code] { exit_code = run_list(*arguments); });
}

}  // namespace assay
