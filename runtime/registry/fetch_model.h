// From a model's name to its files: what it stands for on a hub, the checks before a download, and the record of it.
#pragma once

#include <string>
#include <string_view>

#include "runtime/hub/hub.h"
#include "runtime/registry/hardware.h"
#include "runtime/registry/library.h"

namespace assay {

// What `assay pull` fetches.
struct HubRequest {
  HubSource source;
  FileChoice choice{};
};

// A catalogue id as its repository and file, everything else as parse_source() reads it. Errors: unsupported, for rows
// that cannot be had, with what to take instead; usage, for bundled rows (nothing to fetch) and what is no source.
Result<HubRequest> hub_request(const Catalogue& catalogue, std::string_view name,
                               std::string_view endpoint = "https://huggingface.co");

// What the registry will call the files of a plan: a catalogue id, "ORG/REPO:QUANT", "ORG/REPO", or HOST/PATH of a URL.
std::string registry_name(const Library& library, const PullPlan& plan);

// Disk space, memory and GPU, of the catalogue's row or else from the files' sizes.
HardwareVerdict check_before_pull(const Catalogue& catalogue, const PullPlan& plan, const std::filesystem::path& where);

// hub.pull(), recorded: the model is "downloading" meanwhile, the attempt goes into the history, the registry is
// reconciled afterwards, whatever came of it. Errors: those of Hub::pull; trouble with the registry does not stop a
// download.
Result<PullResult> pull_and_record(Library& library, Hub& hub, const PullPlan& plan,
                                   PullEvents events = ignore_pull_events);

struct PullPolicy {
  bool pulls = false;   // download what is not here
  bool forces = false;  // although the machine does not seem fit
};
// The model's path; downloads it when it is not here and the policy says so. `warn` receives what the user should know.
// Errors: those of Library::find, Hub and refuse().
Result<LocatedModel> find_or_pull(Library& library, Hub& hub, std::string_view name, PullPolicy policy,
                                  PullEvents events, FunctionRef<void(const std::string&)> warn);

// All of it for a program: an existing path is its own answer, and nothing is opened for it; else the library is, the
// model found or pulled, and its use counted. An empty argument means the selected model, else the recommended one if
// it is here or may be pulled. `warn` also receives the library's notes.
Result<LocatedModel> locate_model(const Places& places, const HubOptions& hub, std::string_view argument,
                                  PullPolicy policy, PullEvents events, FunctionRef<void(const std::string&)> warn);

}  // namespace assay
