// A Config as the keys of a GGUF file: what read_config() reads.
#pragma once

#include "runtime/formats/gguf_writer.h"
#include "runtime/model/config.h"

namespace assay {

// general.architecture and the architecture's own keys. What only some families have is written where a model has it.
void write_gguf_config(const Config& config, GgufWriter& writer);

}  // namespace assay
