// Keys of a GGUF result: copied from a GGUF source, or made from config.json and the tokenizer files of a folder.
#pragma once

#include <string>
#include <vector>

#include "runtime/formats/gguf_writer.h"
#include "runtime/model/config.h"
#include "runtime/model/convert.h"

namespace assay::convert {

// Everything but the split keys and what describes the weights, which is set anew.
void copy_gguf_keys(const ModelFile& in, const ConvertOptions& options, GgufWriter& writer);

// The architecture's numbers. `notes` says what has no key.
Result<> set_model_keys(const ModelFile& in, const Config& config, const ConvertOptions& options, GgufWriter& writer);

// tokenizer.ggml.* from tokenizer.json where it is byte-level BPE; otherwise model "none" and a note that says so.
Result<> set_tokenizer_keys(const ModelFile& in, const Config& config, GgufWriter& writer, std::vector<std::string>& notes);

}  // namespace assay::convert
