// Joins catalogue, hub and registry.
#include "runtime/registry/fetch_model.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>

#include "runtime/core/sha256.h"
#include "runtime/hub/select.h"
#include "runtime/registry/cached_models.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

bool is_glob(std::string_view text) {
  return text.find_first_of("*?[") != std::string_view::npos;
}

// The file whose name says most about the model: the first part of the weights.
const PlannedFile* weights_of(const PullPlan& plan) {
  for (const std::string_view ending : {".gguf", ".safetensors"})
    for (const PlannedFile& file : plan.files)
      if (file.name.ends_with(ending)) return &file;
  return nullptr;
}

const CatalogueRow* row_of(const Catalogue& catalogue, const PullPlan& plan) {
  const PlannedFile* weights = weights_of(plan);
  if (plan.repository.empty() || weights == nullptr) return nullptr;
  return catalogue.find_file(plan.repository, weights->name.ends_with(".gguf") ? weights->name : "");
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32] = {};
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

RegistryModel record_of(const Library& library, const PullPlan& plan) {
  RegistryModel out;
  out.name = registry_name(library, plan);
  out.source = plan.repository.empty() ? "url" : "hub";
  out.repository = plan.repository;
  out.commit = plan.commit;
  out.revision = plan.revision;
  out.path = plan.model.string();
  out.bytes = plan.total_bytes;
  if (const PlannedFile* weights = weights_of(plan)) {
    out.format = weights->name.ends_with(".gguf") ? "gguf" : "safetensors";
    out.quantization = quant_of_name(weights->name);
  }
  return out;
}

// Nobody says what a plain URL's files must hash to; what they hash to now is what verify holds them against later.
void record_hashes(Library& library, const std::string& name) {
  auto model = library.registry().find(name);
  if (!model || !*model) return;
  for (RegistryFile& file : (*model)->files)
    if (auto hash = sha256_of_file(file.path); hash && file.hash.empty()) file.hash = std::move(*hash);
  (void)library.registry().put(**model);
}

// Whole files that are no model: found in the cache like any others, and not to be used.
void mark_as_failed(Library& library, const std::string& name, const std::string& reason) {
  auto model = library.registry().find(name);
  if (!model || !*model) return;
  (*model)->status = ModelStatus::failed;
  (*model)->reason = reason;
  (void)library.registry().put(**model);
}

}  // namespace

Result<HubRequest> hub_request(const Catalogue& catalogue, std::string_view name, std::string_view endpoint) {
  const CatalogueRow* row = catalogue.find(name);
  if (row == nullptr) {
    auto source = parse_source(name, endpoint);
    if (source) return HubRequest{std::move(*source)};
    Error error = std::move(source).error();
    if (name.find('/') == std::string_view::npos)
      error.detail = "is no catalogue id" + catalogue.suggestion(name) +
                     "; assay list shows them; or write ORG/REPO, ORG/REPO:QUANT, ORG/REPO/FILE or a URL";
    return error;
  }
  if (row->availability == Availability::bundled)
    return Error{Code::usage, row->id, "comes with assay: there is nothing to download"};
  if (row->availability == Availability::unavailable) return row->refusal();
  HubRequest out;
  out.source.repository = row->repository;
  if (is_glob(row->file)) {
    out.choice.include = {row->file};
  } else if (!row->file.empty()) {
    out.source.kind = SourceKind::file;
    out.source.file = row->file;
  }
  return out;
}

std::string registry_name(const Library& library, const PullPlan& plan) {
  if (const CatalogueRow* row = row_of(library.catalogue(), plan)) return row->id;
  if (plan.repository.empty()) return plan.model.lexically_relative(library.places().url_files).generic_string();
  const PlannedFile* weights = weights_of(plan);
  return name_in_cache(plan.repository, weights != nullptr && weights->name.ends_with(".gguf") ? weights->name : "");
}

HardwareVerdict check_before_pull(const Catalogue& catalogue, const PullPlan& plan, const fs::path& where) {
  HardwareNeeds needs{.disk_bytes = plan.missing_bytes};
  if (plan.is_model) needs.memory_bytes = plan.total_bytes;
  if (const CatalogueRow* row = row_of(catalogue, plan)) {
    needs.memory_bytes = row->memory_bytes;
    needs.gpu = row->gpu;
  }
  return check_hardware(needs, read_hardware(where));
}

Result<PullResult> pull_and_record(Library& library, Hub& hub, const PullPlan& plan, PullEvents events) {
  const RegistryModel model = record_of(library, plan);
  DownloadRecord record;
  record.model = model.name;
  record.repository = plan.repository;
  record.commit = plan.commit;
  record.started = utc_now();
  const bool is_news = plan.missing_bytes > 0;
  if (is_news) (void)library.registry().begin_download(model);
  const Clock::time_point start = Clock::now();
  auto pulled = hub.pull(plan, events);
  record.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (pulled)
    for (const PulledFile& file : pulled->files) record.bytes += file.transferred_bytes;
  record.outcome = pulled ? "downloaded" : pulled.error().code == Code::interrupted ? "interrupted" : "failed";
  if (!pulled) record.detail = pulled.error().message();
  // What is whole is found again on the disk; the rest stays as failed, to be gone on with.
  if (is_news) (void)library.registry().end_download(record, pulled ? ModelStatus::downloaded : ModelStatus::failed);
  (void)library.reconcile();
  if (pulled && model.source == "url") record_hashes(library, model.name);
  if (!pulled && pulled.error().code == Code::malformed) mark_as_failed(library, model.name, record.detail);
  return pulled;
}

Result<LocatedModel> find_or_pull(Library& library, Hub& hub, std::string_view name, PullPolicy policy,
                                  PullEvents events, FunctionRef<void(const std::string&)> warn) {
  auto found = library.find(name);
  if (found || !policy.pulls || found.error().code != Code::not_found) return found;
  ASSAY_TRY(const HubRequest request, hub_request(library.catalogue(), name, hub.options().endpoint));
  ASSAY_TRY(const PullPlan plan, hub.plan(request.source, request.choice, events));
  const HardwareVerdict verdict = check_before_pull(library.catalogue(), plan, hub.options().cache_folder);
  if (!policy.forces) ASSAY_TRY_VOID(refuse(verdict, name));
  for (const auto* list : {&verdict.refusals, &verdict.warnings})
    for (const std::string& text : *list) warn(std::string(name) + " " + text);
  ASSAY_TRY(const PullResult pulled, pull_and_record(library, hub, plan, events));
  return LocatedModel{pulled.model, registry_name(library, plan)};
}

Result<LocatedModel> locate_model(const Places& places, const HubOptions& options, std::string_view argument,
                                  PullPolicy policy, PullEvents events, FunctionRef<void(const std::string&)> warn) {
  std::error_code ignored;
  if (!argument.empty() && (fs::exists(argument, ignored) || is_path_like(argument)))
    return LocatedModel{fs::path(argument), ""};
  ASSAY_TRY(Library library, Library::open(places));
  for (const std::string& note : library.notes()) warn(note);
  std::string name(argument);
  if (name.empty()) {
    ASSAY_TRY(name, library.default_model());
    ASSAY_TRY(const std::string selected, library.registry().selected());
    if (selected.empty() && !policy.pulls && !library.find(name))
      return Error{Code::usage, "model",
                   "none is named and none is selected; name one, or choose one with: assay use ID"};
  }
  Hub hub(options);
  ASSAY_TRY(LocatedModel found, find_or_pull(library, hub, name, policy, events, warn));
  if (!found.name.empty()) (void)library.registry().note_use(found.name);
  return found;
}

}  // namespace assay
