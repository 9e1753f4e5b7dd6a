// The environment and the terminal around Library.
#include "bench/apps/assay/library_access.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "bench/apps/assay/hub_options.h"
#include "bench/apps/assay/places.h"
#include "bench/apps/assay/pull_display.h"
#include "bench/harness/store.h"

namespace assay {

namespace {

constexpr auto print_note = [](const std::string& note) {
  std::fprintf(stderr, "assay: note: %s\n", terminal_safe(note).c_str());
};

}  // namespace

Result<HubOptions> hub_options_here() {
  return hub_options_of({});
}

Result<Places> places_here() {
  ASSAY_TRY(const HubOptions hub, hub_options_here());
  const auto environment = [](const char* name) { return environment_variable(name); };
  return read_places(environment, hub, program_beside("assay"));
}

Result<Library> open_library() {
  ASSAY_TRY(const Places places, places_here());
  ASSAY_TRY(Library library, Library::open(places));
  for (const std::string& note : library.notes()) print_note(note);
  return library;
}

Result<ResultStore> open_results() {
  ASSAY_TRY(ResultStore store, ResultStore::open(home_folder()));
  if (!store.note().empty()) print_note(store.note());
  return store;
}

Result<std::string> find_model(const std::string& argument, PullPolicy policy, const ProgressChoice& progress) {
  ASSAY_TRY(const HubOptions hub, hub_options_here());
  ASSAY_TRY(const Places places, places_here());
  PullDisplay display(stderr, pull_style(progress));
  const auto events = [&](const PullEvent& event) {
    display.show(event);
    return !stop_requested();
  };
  ASSAY_TRY(const LocatedModel found, locate_model(places, hub, argument, policy, events, print_note));
  return found.path.string();
}

ProgressPrinter::Options pull_style(const ProgressChoice& progress) {
  ProgressPrinter::Options style = progress_options(progress);
  if (style.style == ProgressStyle::json) style.style = ProgressStyle::lines;
  return style;
}

void add_pull_options(Command command, PullPolicy& policy) {
  command.add_flag("--pull", policy.pulls,
                   "Download a model that is named by catalogue id or ORG/REPO[:QUANT] and not here");
  command.add_flag("--force", policy.forces,
                   "Although the machine does not seem to have the disk space, memory or GPU for it");
}

bool user_agrees(const std::string& question) {
  if (isatty(STDIN_FILENO) == 0) return false;
  std::fprintf(stderr, "%s [y/N] ", question.c_str());
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

}  // namespace assay
