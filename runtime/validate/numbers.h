// From what a scan counted to findings; duplicates and padding, which need more than one tensor.
#pragma once

#include <vector>

#include "runtime/validate/scan.h"
#include "runtime/validate/subject.h"

namespace assay::validation {

void report_numbers(Subject& subject, const std::vector<Numbers>& numbers);
// Tensors of more than one row that hold the same bytes. Reads little of those that differ.
void report_duplicates(Subject& subject, const std::vector<Numbers>& numbers);
// Bytes between tensors that should be zero.
void report_padding(Subject& subject);

}  // namespace assay::validation
