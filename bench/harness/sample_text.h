// The text that benchmarks read: a few thousand words of plain English, written for Assay.
#pragma once

#include <string_view>

namespace assay {

// Prose, talk, instructions, figures and a little code, so that a tokenizer and a model meet what they meet in use.
std::string_view benchmark_text();

}  // namespace assay
