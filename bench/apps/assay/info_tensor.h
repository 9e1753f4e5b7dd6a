// One tensor of a model: its facts, the range of its values, and its values as float32.
#pragma once

#include <string>

#include "runtime/formats/model_file.h"

namespace assay {

struct TensorRequest {
  std::string name;
  std::string dump;  // a file, "-" for stdout, empty for none
  bool json = false;
};

// Prints, writes, and returns the exit code.
int run_tensor(const ModelFile& file, const TensorRequest& request);

}  // namespace assay
