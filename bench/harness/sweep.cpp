// Parsing and expansion behind Sweep.
#include "bench/harness/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "runtime/core/json.h"

namespace assay {

namespace {

constexpr std::size_t kMostNumbers = 4096;

Error wrong(std::string_view text, std::string_view detail) { return Error{Code::usage, std::string(text), std::string(detail)}; }

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end.ec != std::errc{} || end.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// FIRST-LAST, FIRST-LAST+STEP or FIRST-LAST*FACTOR.
Result<> add_range(std::string_view part, std::vector<std::uint32_t>& out) {
  const std::size_t dash = part.find('-');
  const std::size_t sign = part.find_first_of("+*", dash);
  const bool is_factor = sign != std::string_view::npos && part[sign] == '*';
  const auto first = number(part.substr(0, dash));
  const auto last = number(part.substr(dash + 1, sign == std::string_view::npos ? sign : sign - dash - 1));
  const auto step = sign == std::string_view::npos ? std::optional<std::uint32_t>(1) : number(part.substr(sign + 1));
  if (!first || !last || !step) return wrong(part, "is no range; write FIRST-LAST, FIRST-LAST+STEP or FIRST-LAST*FACTOR");
  if (*first > *last) return wrong(part, "ends before it begins");
  if (*step == 0 || (is_factor && (*step < 2 || *first == 0))) return wrong(part, "never ends; a step is at least 1, a factor at least 2 and its first number at least 1");
  for (std::uint64_t value = *first; value <= *last; value = is_factor ? value * *step : value + *step) {
    if (out.size() >= kMostNumbers) return wrong(part, fmt::format("gives more than {} numbers", kMostNumbers));
    out.push_back(static_cast<std::uint32_t>(value));
  }
  return success();
}

template <class T, class Set>
void cross(std::vector<CaseSettings>& cases, const std::vector<T>& values, Set&& set) {
  std::vector<CaseSettings> out;
  for (const CaseSettings& settings : cases)
    for (const T& value : values) {
      set(out.emplace_back(settings), value);
    }
  cases = std::move(out);
}

}  // namespace

Result<std::vector<std::string>> parse_words(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    if (comma == at) return wrong(text, "has an empty part; write values with a comma between two");
    out.emplace_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return out;
}

Result<std::vector<std::uint32_t>> parse_numbers(std::string_view text) {
  ASSAY_TRY(const auto parts, parse_words(text));
  std::vector<std::uint32_t> out;
  for (const std::string& part : parts) {
    if (part.find('-') != std::string::npos) {
      ASSAY_TRY_VOID(add_range(part, out));
      continue;
    }
    const auto value = number(part);
    if (!value) return wrong(part, "is no number; write 512, 1,2,4, 1-4, 0-4096+1024 or 128-1024*2");
    out.push_back(*value);
  }
  return out;
}

Result<std::pair<std::uint32_t, std::uint32_t>> parse_pair(std::string_view text) {
  const std::size_t comma = text.find(',');
  const auto first = number(text.substr(0, comma));
  const auto second = comma == std::string_view::npos ? std::nullopt : number(text.substr(comma + 1));
  if (!first || !second || *first == 0 || *second == 0) return wrong(text, "is no pair of prompt and generated tokens; write 512,128");
  return std::pair(*first, *second);
}

Result<std::uint64_t> parse_memory(std::string_view text) {
  std::string_view digits = text;
  int shift = 0;
  if (!digits.empty()) {
    const char unit = digits.back();
    shift = unit == 'k' || unit == 'K' ? 10 : unit == 'M' || unit == 'm' ? 20 : unit == 'G' || unit == 'g' ? 30 : 0;
    if (shift > 0) digits.remove_suffix(1);
  }
  std::uint64_t value = 0;
  const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || end.ec != std::errc{} || end.ptr != digits.data() + digits.size() || value == 0 || value > (UINT64_MAX >> shift))
    return wrong(text, "is no amount of memory; write bytes, or a number with k, M or G");
  return value << shift;
}

std::vector<std::string> name_variants(const std::vector<CaseSettings>& cases) {
  std::vector<std::string> out(cases.size());
  for_each_field<CaseSettings>([&](const auto& field) {
    constexpr std::string_view kTest[] = {"prompt_tokens", "generated_tokens", "is_joined", "depth", "sequences"};
    if (std::find(std::begin(kTest), std::end(kTest), field.name) != std::end(kTest)) return;
    const auto text = [&](const CaseSettings& settings) {
      const Json value = to_json(settings.*field.member);
      return value.string() ? *value.string() : value.is_null() ? std::string() : to_text(value);
    };
    const auto differs = [&](const CaseSettings& settings) { return text(settings) != text(cases.front()); };
    if (std::none_of(cases.begin(), cases.end(), differs)) return;
    std::string name(field.name);
    std::replace(name.begin(), name.end(), '_', ' ');
    for (std::size_t i = 0; i < cases.size(); ++i)
      if (const std::string value = text(cases[i]); value != text(CaseSettings{})) out[i] += (out[i].empty() ? "" : ", ") + name + " " + value;
  });
  return out;
}

std::vector<CaseSettings> expand(const Sweep& sweep) {
  std::vector<CaseSettings> tests;
  for (std::size_t i = 0; i < std::max(sweep.prompt.size(), sweep.generate.size()); ++i) {
    CaseSettings test;
    test.prompt_tokens = i < sweep.prompt.size() ? sweep.prompt[i] : 0;
    test.generated_tokens = i < sweep.generate.size() ? sweep.generate[i] : 0;
    if (test.prompt_tokens + test.generated_tokens > 0) tests.push_back(test);
  }
  for (const auto& [prompt, generated] : sweep.joined) {
    CaseSettings& test = tests.emplace_back();
    test.prompt_tokens = prompt;
    test.generated_tokens = generated;
    test.is_joined = true;
  }
  std::vector<CaseSettings> cases = {CaseSettings{}};
  cross(cases, sweep.backend, [](CaseSettings& s, const std::string& v) { s.backend = v; });
  cross(cases, sweep.isa, [](CaseSettings& s, const std::string& v) { s.isa = v; });
  cross(cases, sweep.load, [](CaseSettings& s, const std::string& v) { s.load = v; });
  cross(cases, sweep.gpu_layers, [](CaseSettings& s, const std::optional<int>& v) { s.gpu_layers = v; });
  cross(cases, sweep.flash_attention, [](CaseSettings& s, const std::string& v) { s.flash_attention = v; });
  cross(cases, sweep.kv_keys, [](CaseSettings& s, const std::string& v) { s.kv_keys = s.kv_values = v; });
  if (!sweep.kv_values.empty()) cross(cases, sweep.kv_values, [](CaseSettings& s, const std::string& v) { s.kv_values = v; });
  cross(cases, sweep.batch, [](CaseSettings& s, std::uint32_t v) { s.batch = v; });
  cross(cases, sweep.ubatch, [](CaseSettings& s, std::uint32_t v) { s.ubatch = v; });
  cross(cases, sweep.cpu_mask, [](CaseSettings& s, const std::string& v) { s.cpu_mask = v; });
  cross(cases, sweep.threads, [](CaseSettings& s, std::uint32_t v) { s.threads = static_cast<int>(v); });
  cross(cases, sweep.sequences, [](CaseSettings& s, std::uint32_t v) { s.sequences = v; });
  cross(cases, sweep.depth, [](CaseSettings& s, std::uint32_t v) { s.depth = v; });
  cross(cases, tests, [](CaseSettings& s, const CaseSettings& test) {
    s.prompt_tokens = test.prompt_tokens;
    s.generated_tokens = test.generated_tokens;
    s.is_joined = test.is_joined;
  });
  std::vector<CaseSettings> out;
  std::vector<std::string> seen;
  for (CaseSettings& settings : cases) {
    std::string text = to_text(to_json(settings));
    if (std::find(seen.begin(), seen.end(), text) != seen.end()) continue;
    seen.push_back(std::move(text));
    out.push_back(std::move(settings));
  }
  return out;
}

}  // namespace assay
