// A remark becomes a finding: its severity is what the table of rules says.
#include "runtime/validate/subject.h"

#include "runtime/core/assert.h"
#include "runtime/validate/rules.h"

namespace assay::validation {

bool Subject::remark(Remark remark) {
  const Rule* rule = find_rule(remark.rule);
  ASSAY_CHECK(rule != nullptr);
  Finding finding{.rule = std::string(remark.rule),
                  .code = remark.code,
                  .file = std::move(remark.file),
                  .offset = remark.offset,
                  .subject = printable(remark.subject),
                  .message = std::move(remark.message),
                  .advice = std::string(remark.advice)};
  switch (rule->severity) {
    case Severity::error:
      ++errors_;
      return report_.error(std::move(finding));
    case Severity::warning:
      return report_.warning(std::move(finding));
    case Severity::note:
      return report_.note(std::move(finding));
  }
  return true;
}

}  // namespace assay::validation
