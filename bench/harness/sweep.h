// Sweep: lists of settings in llama-bench's grammar, and the cases that all their combinations make.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/harness/round.h"
#include "runtime/core/error.h"

namespace assay {

// "512", "1,2,4", "1-4", "0-4096+1024" (step), "128-1024*2" (factor), and commas between any of these. Errors: usage, naming
// the part that is wrong. At most 4096 numbers.
Result<std::vector<std::uint32_t>> parse_numbers(std::string_view text);
// "512,128"
Result<std::pair<std::uint32_t, std::uint32_t>> parse_pair(std::string_view text);
// "a,b,c"; nothing between two commas is an error.
Result<std::vector<std::string>> parse_words(std::string_view text);
// "2G", "512M", "300k", "123": powers of 1024, as ulimit and systemd read them.
Result<std::uint64_t> parse_memory(std::string_view text);

struct Sweep {
  // Test i takes prompt[i] and generate[i]: each number is measured once. Where one list is shorter its part is left out.
  std::vector<std::uint32_t> prompt = {512};
  std::vector<std::uint32_t> generate = {128};
  std::vector<std::pair<std::uint32_t, std::uint32_t>> joined;  // decode right after the prompt
  std::vector<std::uint32_t> depth = {0}, batch = {2048}, ubatch = {512}, threads = {0}, sequences = {1};
  std::vector<std::string> backend = {"cpu"}, kv_keys = {"f16"}, kv_values, flash_attention = {"auto"}, load = {"map"}, isa = {""}, cpu_mask = {""};
  std::vector<std::optional<int>> gpu_layers = {std::nullopt};
};
// What tells the cases apart beside their tests: "threads 1, kv keys q8_0"; settings that all share,
// and those at their default, are left out.
std::vector<std::string> name_variants(const std::vector<CaseSettings>& cases);

// The cases of one model; those that a list names twice stand once. Empty kv_values follow kv_keys.
std::vector<CaseSettings> expand(const Sweep& sweep);

}  // namespace assay
