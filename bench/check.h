// Checking: a backend's logits on a fixed prompt against the reference backend or against stored golden logits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "bench/record.h"
#include "runtime/core/error.h"
#include "runtime/engine/session.h"

namespace assay {

// What is allowed to differ, as a share of the standard deviation of the true logits within a position.
//
// A wrong kernel, a wrong scale or a block left out shifts logits by about that deviation itself (share near 1), so bounds far
// below 1 separate right from wrong; they are wide enough for the arithmetic a backend may choose. The single largest
// difference may be 10 times the rms bound (over 1e5 logits of near-normal error the largest is about 5 times the rms).
struct AgreementBounds {
  double rms_relative = 0;
  // Share of positions whose most likely token must be the same. A token counts as the same when the truth puts it within the
  // rms bound of its best one: there the choice is a coin's. One position may differ whatever the share says.
  double top1 = 0.92;
};
// Weights of 8 bits and less are multiplied with activations rounded to 8 bits: 0.06 (measured: trained fixtures
// 0.006 to 0.012, random weights in 1B shapes 0.024 to 0.035). Float weights: 0.01, for F16 keys and values and the order of
// additions (measured: under 0.0002).
AgreementBounds agreement_bounds(const Model& model, const SessionOptions& options);

// `truth` and `answer` are [positions][vocabulary]. Logits that are not finite never pass.
Agreement compare_logits(std::span<const float> truth, std::span<const float> answer, std::size_t vocabulary, const AgreementBounds& bounds);

// A prompt of `count` ids: a fixed English text in the model's own tokens, repeated as needed, or, where the model has no
// tokenizer, ids from a fixed pseudo-random sequence.
std::string_view sample_text();
std::vector<std::int32_t> sample_tokens(const Model& model, std::size_t count, std::string_view text = sample_text());

// Prompt positions that a check of this model computes: many for small ones, 20 from a gigabyte on, because the
// reference dequantises every matrix.
std::uint32_t check_positions(const Model& model);

// Runs the sample prompt on `options.backend` and on the reference: most of it as one batch and the last four tokens one by
// one, so that both ways through the kernels are checked.
Result<Agreement> check_against_reference(const Model& model, const SessionOptions& options);

// The same against float32 logits stored as `file` [rows][vocabulary]; logits.json beside it lists the sequences, each with its
// "ids", "first_row" and "rows", and "vocab". The name of the file decides nothing: it must belong to these weights.
Result<Agreement> check_against_golden(const Model& model, const SessionOptions& options, const std::filesystem::path& file);

}  // namespace assay
