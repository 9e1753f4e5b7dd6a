// The hub options that commands share: what the environment says, and what the command line changes.
#pragma once

#include <string>

#include "runtime/core/command_line.h"
#include "runtime/hub/options.h"

namespace assay {

struct HubArguments {
  std::string cache_dir, local_dir, token, limit_rate, sha256;
  int jobs = 4, connections = 8, retries = 5;
  double retry_delay = 1;
  bool offline = false, force_download = false;
};

void add_hub_options(Command command, HubArguments& arguments);

// Errors: usage.
Result<HubOptions> hub_options_of(const HubArguments& arguments);

}  // namespace assay
