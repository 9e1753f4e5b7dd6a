// One pass over the bytes of a model: SHA-256 of every file and the numbers of every tensor, side by side.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/progress.h"
#include "runtime/formats/model_file.h"
#include "runtime/validate/scan.h"

namespace assay::validation {

struct PassWork {
  bool numbers = false;
  bool hash = false;
  int threads = 0;  // 0: as many as this process may use
};

struct PassResult {
  std::vector<Numbers> numbers;     // of every tensor, in order; empty when not asked for
  std::vector<std::string> hashes;  // of every file, in order; empty when not asked for
};

// Files are hashed in pieces, whichever has most left first, so that several files keep all threads busy to the end; a
// tensor is scanned when its bytes have just been hashed and are still in the cache, by a thread with nothing to hash
// or by the one that is too far ahead. Errors: interrupted.
Result<PassResult> run_pass(const ModelFile& model, const PassWork& work, ProgressFn progress);

}  // namespace assay::validation
