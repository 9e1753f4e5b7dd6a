// Wording of errors.
#include "runtime/core/error.h"

#include <array>

namespace assay {

std::string_view name_of(Code code) {
  constexpr std::array<std::string_view, 17> kNames = {"io",    "not-found", "truncated", "malformed", "unsupported",
                                                       "missing", "type",    "shape",     "range",     "duplicate",
                                                       "memory",  "usage",   "mismatch",  "network",   "denied",
                                                       "space",   "interrupted"};
  return kNames[static_cast<std::size_t>(code)];
}

std::string Error::message() const {
  std::string text;
  if (!file.empty()) text += file + ": ";
  if (!subject.empty()) text += subject + ": ";
  text += detail;
  if (offset) text += " (at byte " + std::to_string(*offset) + ")";
  return text;
}

}  // namespace assay
