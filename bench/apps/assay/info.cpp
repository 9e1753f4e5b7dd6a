// assay info: what a model file holds and the memory it needs; one tensor's values on request.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/info_facts.h"
#include "bench/apps/assay/info_tensor.h"
#include "bench/apps/assay/library_access.h"

namespace assay {
namespace {

struct InfoArguments {
  std::string path{}, tensor{}, dump{}, kv = "f16";
  std::uint32_t context = 0, batch = 512;
  bool tensors = false, metadata = false, json = false;
};

constexpr const char* kFooter = R"(Examples:
  assay info model.gguf
  assay info model-00002-of-00003.gguf --context 8192 --kv q8_0
  assay info folder/ --tensors --metadata
  assay info model.gguf --json | jq .memory.total_bytes
  assay info model.gguf --tensor blk.0.attn_q.weight            its type, shape, smallest and largest value
  assay info model.gguf --tensor output.weight --dump out.f32   its values as float32, little-endian, row by row)";

void print_line(std::string_view label, const std::string& text) {
  fmt::print("{:<14} {}\n", label, terminal_safe(text));
}

void print_types(const FileFacts& facts) {
  fmt::print("\n{:<10} {:>8} {:>10} {:>7} {:>12}\n", "type", "tensors", "bytes", "share", "bits/weight");
  for (const TypeShare& share : facts.types) {
    const double part = facts.weight_bytes == 0
                            ? 0
                            : 100.0 * static_cast<double>(share.bytes) / static_cast<double>(facts.weight_bytes);
    fmt::print("{:<10} {:>8} {:>10} {:>6.1f}% {:>12.3f}\n", name_of(share.format), share.tensors,
               format_bytes(share.bytes), part, share.bits_per_weight());
  }
}

std::string config_text(const FileFacts& facts) {
  const Config& config = *facts.config;
  return fmt::format("{} layers, width {}, FFN {}, {}/{} heads of {}, {}", config.layers, config.embedding,
                     config.feed_forward, config.heads, config.kv_heads, config.head_dim,
                     facts.is_tied ? "tied embedding" : "separate output");
}

// What only some families have: "64 experts of 896, 6 used and 2 shared; window 4096 in 13 layers".
std::string parts_text(const Config& config) {
  std::vector<std::string> parts;
  const ExpertConfig& experts = config.experts;
  if (experts.count > 0) {
    parts.push_back(fmt::format("{} experts of {}, {} used", experts.count, experts.feed_forward, experts.used));
    if (experts.shared > 0) parts.back() += fmt::format(" and {} shared", experts.shared);
    if (experts.dense_layers > 0) parts.back() += fmt::format(", from layer {} on", experts.dense_layers);
  }
  if (config.window > 0) {
    const auto layers = std::count(config.slides.begin(), config.slides.end(), true);
    parts.push_back(fmt::format("window {} in {} layer{}", config.window, layers, layers == 1 ? "" : "s"));
  }
  if (config.is_latent()) parts.push_back(fmt::format("keys and values of rank {}", config.latent.kv_rank));
  return fmt::format("{}", fmt::join(parts, "; "));
}

// "1235814400 (1.24 billion)"
std::string count_text(std::uint64_t count) {
  const auto value = static_cast<double>(count);
  if (count >= 1'000'000'000) return fmt::format("{} ({:.2f} billion)", count, value / 1e9);
  if (count >= 1'000'000) return fmt::format("{} ({:.2f} million)", count, value / 1e6);
  return fmt::format("{}", count);
}

std::string tokenizer_text(const TokenizerFacts& tokenizer) {
  std::string text = tokenizer.kind;
  if (!tokenizer.pre_tokenizer.empty()) text += fmt::format(" ({})", tokenizer.pre_tokenizer);
  text += fmt::format(", {} tokens", tokenizer.vocabulary);
  if (tokenizer.bos) text += fmt::format(", BOS {}{}", *tokenizer.bos, tokenizer.adds_bos ? "" : " not added");
  if (tokenizer.eos) text += fmt::format(", EOS {}", *tokenizer.eos);
  return text;
}

std::string chat_text(const ChatFacts& chat) {
  std::string text = fmt::format("{}, {}, ", chat.origin, format_bytes(chat.bytes));
  text += chat.problem.empty() ? "can be rendered" : "cannot be rendered: " + chat.problem;
  if (chat.problem.empty() && !chat.doubt.empty()) text += fmt::format(", as long as it does not reach {}", chat.doubt);
  if (!chat.looks_like.empty()) text += fmt::format(" (looks like {})", chat.looks_like);
  return text;
}

void print_memory(const FileFacts& facts) {
  if (!facts.plan) {
    fmt::print("\n");
    print_line("memory", "unknown: " + facts.plan_problem);
    return;
  }
  const MemoryPlan& plan = *facts.plan;
  fmt::print("\nmemory at context {}, batch {}, KV {}\n", facts.plan_options.context, facts.plan_options.batch,
             name_of(facts.plan_options.kv));
  fmt::print("  {:<12} {:>10}\n  {:<12} {:>10}  ({} a position", "weights", format_bytes(plan.weights_bytes),
             "KV cache", format_bytes(plan.kv_bytes), format_bytes(plan.kv_bytes_per_position));
  if (plan.window > 0)
    fmt::print(", {} more in the last {}", format_bytes(plan.window_kv_bytes_per_position), plan.window);
  fmt::print(")\n");
  fmt::print("  {:<12} {:>10}\n  {:<12} {:>10}\n", "activations", format_bytes(plan.activation_bytes), "total",
             format_bytes(plan.total_bytes()));
  fmt::print("  {:<12} {:>10}  of weights for one generated token\n", "reads", format_bytes(plan.bytes_per_token));
}

void print_facts(const ModelFile& file, const FileFacts& facts) {
  print_line("path", file.path.string());
  print_line("format", fmt::format("{}, {} {}, {}", facts.format, facts.files, facts.files == 1 ? "file" : "files",
                                   format_bytes(facts.file_bytes)));
  if (!facts.name.empty()) print_line("name", facts.name);
  print_line("architecture", facts.architecture.empty() ? "not stated" : facts.architecture);
  if (facts.config)
    print_line("shape", config_text(facts));
  else
    print_line("shape", "unknown: " + facts.config_problem);
  if (facts.config && !parts_text(*facts.config).empty()) print_line("with", parts_text(*facts.config));
  if (!facts.unused.empty())
    print_line("not used", fmt::format("{} tensors, {} ...", facts.unused.size(), facts.unused.front()));
  print_line("parameters", count_text(facts.parameters));
  print_line("weights", fmt::format("{}, {:.2f} bits per weight{}", format_bytes(facts.weight_bytes),
                                    facts.bits_per_weight(), facts.mix.empty() ? "" : ", " + facts.mix));
  print_line("context", facts.context ? fmt::format("{} trained", *facts.context) : "not stated");
  print_line("tokenizer",
             facts.tokenizer ? tokenizer_text(*facts.tokenizer) : "none usable: " + facts.tokenizer_problem);
  print_line("chat template", facts.chat ? chat_text(*facts.chat) : facts.chat_problem.empty() ? "none" : "unreadable: " + facts.chat_problem);
  print_types(facts);
  print_memory(facts);
}

void print_tensors(const ModelFile& file) {
  fmt::print("\n{:<44} {:<9} {:<18} {:>10} {:>5} {:>14}\n", "tensor", "type", "shape", "bytes", "file", "offset");
  for (const TensorView& tensor : file.tensors)
    fmt::print("{:<44} {:<9} {:<18} {:>10} {:>5} {:>14}\n", terminal_safe(tensor.name), name_of(tensor.format),
               shape_text(tensor), format_bytes(tensor.stored_bytes()), tensor.file, tensor.offset);
}

void print_metadata(const ModelFile& file) {
  fmt::print("\nmetadata\n");
  if (file.kind != FileKind::gguf) {
    fmt::print("{}\n", file.config.is_null() ? "no config.json" : to_text(file.config, 2));
    return;
  }
  for (const MetaEntry& entry : file.metadata.entries())
    fmt::print("{:<44} {:<8} {}\n", terminal_safe(entry.key), name_of(entry.type), terminal_safe(metadata_text(entry)));
}

int run_info(InfoArguments arguments) {
  if (!arguments.dump.empty() && arguments.tensor.empty())
    return report_error({Code::usage, "--dump", "needs --tensor NAME"});
  const auto path = find_model(arguments.path);
  if (!path) return report_error(path.error());
  arguments.path = *path;
  const auto file = open_model(arguments.path);
  if (!file) return report_error(file.error());
  if (!arguments.tensor.empty())
    return run_tensor(*file, {.name = arguments.tensor, .dump = arguments.dump, .json = arguments.json});

  const PlanOptions options{
      .context = arguments.context, .batch = arguments.batch, .kv = *kv_type_from_name(arguments.kv)};
  const FileFacts facts = gather_facts(*file, options);
  if (arguments.json) {
    Json out = facts_json(*file, facts);
    if (arguments.tensors) out.set("tensors", tensors_json(*file));
    if (arguments.metadata) out.set("metadata", metadata_json(*file));
    fmt::print("{}\n", to_text(out, 2));
    return kExitYes;
  }
  print_facts(*file, facts);
  if (arguments.tensors) print_tensors(*file);
  if (arguments.metadata) print_metadata(*file);
  return kExitYes;
}

}  // namespace

int show_info(const std::string& path) {
  return run_info({.path = path});
}

void add_info(Command app, int& exit_code) {
  const Command command = app.add_command("info", "Tell what a model file holds and the memory it needs");
  const auto arguments = std::make_shared<InfoArguments>();
  command.footer(kFooter);
  command.add_option("model,-m,--model", arguments->path, "Path, catalogue id or ORG/REPO[:QUANT]; none: the selected model");
  command.add_flag("--tensors", arguments->tensors, "List every tensor");
  command.add_flag("--metadata", arguments->metadata, "List every key, arrays shortened (config.json for folders)");
  command.add_option("-c,--context", arguments->context, "Tokens to plan memory for; 0: the model's own, at most 4096")
      .between(0u, 1u << 28);
  command.add_option("-b,--batch", arguments->batch, "Prompt tokens computed together")
      .between(1u, 1u << 20)
      .shows_default();
  command.add_option("--kv-type,--kv", arguments->kv, "KV cache type")
      .one_of({"f32", "f16", "q8_0"})
      .shows_default();
  command.add_option("--tensor", arguments->tensor, "Only this tensor: its facts and the range of its values");
  command.add_option("--dump", arguments->dump, "Write that tensor as float32, little-endian; - writes to stdout");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.when_given([arguments, &exit_code] { exit_code = run_info(*arguments); });
}

}  // namespace assay
