// How the commands reach the registry and find models by name.
#pragma once

#include <filesystem>
#include <string>

#include "bench/apps/assay/commands.h"
#include "runtime/hub/options.h"
#include "runtime/registry/fetch_model.h"

namespace assay {

class ResultStore;

// The hub's settings and all places, from the environment. Errors: usage.
Result<HubOptions> hub_options_here();
Result<Places> places_here();

// Catalogue and registry, reconciled with the disk. What the user must be told goes to stderr; when the database had to
// be made anew, the index of results is, too.
Result<Library> open_library();

// The results kept at home; what the user must be told goes to stderr.
Result<ResultStore> open_results();

// The path that a model argument means: an existing path as it is, else a catalogue id, a registry name or
// ORG/REPO[:QUANT], downloaded when it is not here and the policy says so. Nothing named: the selected model. Errors:
// those of locate_model.
Result<std::string> find_model(const std::string& argument, PullPolicy policy = {},
                               const ProgressChoice& progress = {});
// --pull and --force.
void add_pull_options(Command command, PullPolicy& policy);

// How a pull is shown on stderr: JSON events would go to stdout, where the command's own document is.
ProgressPrinter::Options pull_style(const ProgressChoice& progress);

// Asks on the terminal; without one the answer is no.
bool user_agrees(const std::string& question);

}  // namespace assay
