// Child: this program once more as a process of its own, its standard output read to the end.
#pragma once

#include <string>
#include <vector>

#include "runtime/core/error.h"

namespace assay {

struct ChildOutcome {
  int exit_code = 0;
  int signal = 0;      // that ended it; 0 when it exited by itself
  std::string output;  // what it wrote to stdout
};

// Runs the executable of this process with `arguments` (without the program's name); stderr is shared. Errors: io.
Result<ChildOutcome> run_self(const std::vector<std::string>& arguments);

}  // namespace assay
