// The report as JSON: what --format json writes and what the HTML page reads.
#pragma once

#include "reports/render/report.h"
#include "runtime/core/json.h"

namespace assay {

Json report_json(const Report& report);

}  // namespace assay
