// Fuzz target: chat templates, read and rendered on a conversation within small limits.
#include "runtime/model/chat/chat_template.h"
#include "tests/fuzz/fuzz.h"

namespace {

assay::Json conversation() {
  return *assay::parse_json(R"({"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hello, <b> \u00e9"},
    {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1, "y": [2.5, null]}}}]},
    {"role": "tool", "content": "{\"a\": 1}"}], "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"properties": {"x": {"type": "integer"}}}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"})");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const assay::Json variables = conversation();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = assay::ChatTemplate::parse(text);
  const auto told = [](const assay::Error& error) { return error.detail.starts_with("line ") || error.detail == "is not UTF-8"; };
  if (!parsed) {
    assay::fuzz::require(told(parsed.error()), "an error tells its line");
    return 0;
  }
  assay::RenderOptions options;
  options.limits = {.steps = 20'000, .memory_bytes = 8 << 20, .output_bytes = 1 << 20, .depth = 200};
  const auto rendered = parsed->render(variables, options);
  if (!rendered) assay::fuzz::require(told(rendered.error()), "an error tells its line");
  if (rendered) assay::fuzz::require(rendered->size() <= options.limits.output_bytes, "the text keeps to its limit");
  const auto again = parsed->render(variables, options);
  assay::fuzz::require(again.has_value() == rendered.has_value() && (!again || *again == *rendered), "a template gives the same text twice");
  return 0;
}
