// What the commands that read results share: how results are named.
#pragma once

#include <string>
#include <vector>

#include "bench/harness/case_run.h"
#include "runtime/core/error.h"

namespace assay {

// Results by a file's path, FILE@TAG for some of it, or by what the store knows: a tag, a commit's beginning, a date's beginning, a run id, "latest" and
// "previous" (runs). What was left out of a file is told on stderr. Errors: not_found and those of reading.
Result<std::vector<CaseRun>> find_results(const std::string& name);

// Whether stdout is a terminal that wants colours.
bool stdout_has_colour();
// terminal_safe() for text of several lines.
std::string terminal_lines(const std::string& text);

}  // namespace assay
