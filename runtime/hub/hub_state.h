// What planning and pulling share behind Hub.
#pragma once

#include "runtime/hub/api.h"
#include "runtime/hub/hub.h"
#include "runtime/hub/place.h"
#include "runtime/hub/select.h"

namespace assay {

struct Hub::State {
  explicit State(HubOptions options) : context(std::move(options)) {}
  HubContext context;
};

// A file of a repository as planned: its address, its place, and whether it is here.
PlannedFile plan_file(const HubOptions& options, const PullPlan& plan, const HubFile& file);
Place place_of(const HubOptions& options, const PullPlan& plan, const PlannedFile& file);

// Sums, disk and the model's path, once the files are known.
void finish_plan(const HubOptions& options, PullPlan& plan, const std::string& model);

// A plan for a plain URL: asks the server for the file's size and etag.
Result<PullPlan> plan_url(HubContext& context, EventTeller& events, const HubSource& source);

// Brings one file to its place under its lock.
Result<PulledFile> pull_file(HubContext& context, EventTeller& events, const PullPlan& plan, const PlannedFile& file);

// A body whose length the server does not say, into `place`. Errors as transfer()'s.
Result<std::uint64_t> stream_file(HubContext& context, EventTeller& events, const PlannedFile& file,
                                  const Place& place);

}  // namespace assay
