// What is known of a file's SHA-256, and what is said when it differs.
#pragma once

#include <map>

#include "runtime/validate/subject.h"
#include "runtime/validate/validate.h"

namespace assay::validation {

// Hashes by file name, from lines "HEX  NAME" or "HEX *NAME". Errors: io, not_found, malformed (names the line).
Result<std::map<std::string, std::string>> read_sums(const std::filesystem::path& path);

// Whether a text is 64 hex digits.
bool is_sha256(std::string_view text);

// One entry a file of the model, with what is recorded of it: --sha256, what the caller knows, a SHA256SUMS file, the
// name of the hub cache's blob that the file links to, or the hub's note beside a downloaded file.
Result<std::vector<FileHash>> known_hashes(const ModelFile& model, const ValidateOptions& options);

void report_hashes(Subject& subject, const std::vector<FileHash>& hashes);

}  // namespace assay::validation
