// Validations as documents for programs: JSON, SARIF 2.1.0, JUnit.
#pragma once

#include <span>
#include <string>

#include "runtime/core/json.h"
#include "runtime/validate/validate.h"

namespace assay {

// {"schema":"assay.validate.v1","models":[...]}
Json validations_json(std::span<const Validation> validations);
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/; `version` is that of the program. Byte offsets as regions.
Json validations_sarif(std::span<const Validation> validations, std::string_view version);
// One test suite a model, one test case a rule that was broken; a model without findings is one case that passes.
// `strict`: warnings are failures too.
std::string validations_junit(std::span<const Validation> validations, bool strict);

}  // namespace assay
