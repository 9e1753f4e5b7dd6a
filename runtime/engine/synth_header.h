// What a synthetic model says about itself: GGUF keys, or config.json.
#pragma once

#include <cstdint>

#include "runtime/core/json.h"
#include "runtime/engine/synth_plan.h"
#include "runtime/engine/synth_vocabulary.h"
#include "runtime/formats/gguf_writer.h"

namespace assay {

// All keys that a loader asks for: general.*, the architecture's, tokenizer.ggml.*.
void set_gguf_keys(GgufWriter& writer, const ModelShape& shape, const Vocabulary& vocabulary, const SynthPlan& plan);

// Which part of a set this is: split.no, split.count, split.tensors.count.
void set_split_keys(GgufWriter& writer, std::uint32_t part, std::uint32_t parts, std::uint64_t tensors);

Json hf_config_json(const ModelShape& shape, const SynthPlan& plan);

}  // namespace assay
