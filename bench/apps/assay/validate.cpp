// assay validate: every defect of model files, as text or as a document for programs.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/library_access.h"
#include "runtime/core/build_info.h"
#include "runtime/core/mapped_file.h"
#include "runtime/engine/session.h"
#include "runtime/validate/render.h"
#include "runtime/validate/rules.h"
#include "runtime/validate/validate.h"

namespace assay {
namespace {

struct ValidateArguments {
  std::vector<std::string> paths, levels;
  std::vector<std::string> backends;  // run; none: cpu
  std::string format = "text", sha256, sums, out;
  int threads = 0;
  bool json = false, strict = false, rules = false, no_advice = false;
  ProgressChoice progress;
};

constexpr const char* kFooter = R"(Levels (several, separated by commas; default structure,numbers):
  structure  header, layout, hyper-parameters, tokenizer: reads headers only
  numbers    every weight: NaN, scales, constant rows, clipped blocks, duplicates
  hash       SHA-256 against --sha256, --sums, a SHA256SUMS file, or what the hub's cache records
  run        a short prompt on every backend: logits must be finite, sane and agree

Examples:
  assay validate model.gguf
  assay validate folder/ --level structure,numbers,hash --sums SHA256SUMS
  assay validate ~/.cache/huggingface/hub/models--org--name --level hash
  assay validate *.gguf --strict --format junit -o report.xml
  assay validate model.gguf --json | jq '.models[].findings[] | select(.severity == "error")'
  assay validate --rules                  every rule, as Markdown

Exit codes: 0 no errors (warnings and notes allowed; --strict: no warnings either), 1 findings, 2 usage, 3 cannot read.)";

// "error gguf.string.past-end  x.gguf at byte 12: llama.block_count: sentence" and the advice below it.
void print_finding(const Finding& finding, bool with_colour, bool with_advice) {
  constexpr const char* kColours[] = {"\033[31m", "\033[33m", "\033[36m"};
  const char* colour = with_colour ? kColours[static_cast<int>(finding.severity)] : "";
  std::string place = std::filesystem::path(finding.file).filename().string();
  if (finding.offset) place += fmt::format(" at byte {}", *finding.offset);
  fmt::print("{}{:<8}{}{}  {}: {}{}\n", colour, name_of(finding.severity), with_colour ? "\033[0m" : "", finding.rule,
             terminal_safe(place), finding.subject.empty() ? "" : terminal_safe(finding.subject) + ": ",
             terminal_safe(finding.message));
  if (with_advice && !finding.advice.empty()) fmt::print("        -> {}\n", terminal_safe(finding.advice));
}

void print_quality(const Quality& quality) {
  if (quality.parameters == 0) return;
  std::string classes;
  for (const ClassBits& each : quality.classes)
    if (each.kind != TensorClass::other)
      classes += fmt::format("{}{} {:.2f}", classes.empty() ? "" : ", ", name_of(each.kind), each.bits_per_weight());
  fmt::print("estimate  {} parameters, {:.2f} bits per weight{}{}\n", quality.parameters, quality.bits_per_weight(),
             classes.empty() ? "" : ": ", classes);
  fmt::print("          expected quality from the bits in its layers: {} (an estimate, not a measurement)\n",
             quality.expected);
  if (quality.memory)
    fmt::print("          memory {} at context {}: weights {}, KV cache {}, activations {}\n",
               format_bytes(quality.memory->total_bytes()), quality.context,
               format_bytes(quality.memory->weights_bytes), format_bytes(quality.memory->kv_bytes),
               format_bytes(quality.memory->activation_bytes));
}

void print_text(const Validation& validation, const ValidateArguments& arguments) {
  const char* no_color = std::getenv("NO_COLOR");
  const bool with_colour = isatty(STDOUT_FILENO) != 0 && (no_color == nullptr || *no_color == '\0');
  fmt::print("{}\n", terminal_safe(validation.path.string()));
  for (const Finding& finding : validation.findings) print_finding(finding, with_colour, !arguments.no_advice);
  for (const FileHash& hash : validation.hashes)
    if (hash.expected == hash.sha256)
      fmt::print("sha256  {}  {} ({} agrees)\n", hash.sha256, terminal_safe(hash.file.filename().string()),
                 hash.source);
  if (validation.quality) print_quality(*validation.quality);
  const std::size_t errors = validation.count(Severity::error), warnings = validation.count(Severity::warning),
                    notes = validation.count(Severity::note);
  fmt::print("{}: {} errors, {} warnings, {} notes\n\n", errors > 0 ? "bad" : "good", errors, warnings, notes);
}

// Writes a document where -o says.
int write_document(const std::string& text, const std::string& out) {
  std::FILE* file = out.empty() ? stdout : std::fopen(out.c_str(), "wb");
  if (file == nullptr)
    return report_error({Code::io, "-o", "cannot write; choose a folder that can be written to", out});
  const bool good = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool closed = out.empty() ? std::fflush(file) == 0 : std::fclose(file) == 0;
  return good && closed ? kExitYes : report_error({Code::io, "-o", "cannot write the whole document", out});
}

RunBackend backend(BackendName kind, int threads) {
  return {name_of(kind),
          [=](const Model& model, std::span<const std::int32_t> tokens) -> Result<std::vector<float>> {
            const SessionOptions options{
                .backend = kind, .threads = threads, .context = static_cast<std::uint32_t>(tokens.size())};
            ASSAY_TRY(Session session, Session::open(model, options));
            ASSAY_TRY(const std::span<const float> logits, session.feed(tokens, LogitsWanted::all));
            return std::vector<float>(logits.begin(), logits.end());
          },
          // Weights of 8 bits and less meet activations rounded to 8 bits; see agreement_bounds() in bench/check.h.
          0.06};
}

bool wants(const ValidateArguments& arguments, std::string_view level) {
  return std::find(arguments.levels.begin(), arguments.levels.end(), level) != arguments.levels.end();
}

ValidateOptions options_of(const ValidateArguments& arguments) {
  ValidateOptions options{.numbers = arguments.levels.empty() || wants(arguments, "numbers"),
                          .hash = wants(arguments, "hash") || !arguments.sha256.empty() || !arguments.sums.empty(),
                          .run = wants(arguments, "run"),
                          .threads = arguments.threads,
                          .sha256 = arguments.sha256,
                          .sums = arguments.sums};
  options.backends.push_back(backend(BackendKind::reference, arguments.threads));
  const std::vector<std::string> cpu_alone = {"cpu"};
  for (const std::string& name : arguments.backends.empty() ? cpu_alone : arguments.backends) options.backends.push_back(backend(*backend_from_name(name), arguments.threads));
  return options;
}

int finish(const std::vector<Validation>& validations, const ValidateArguments& arguments) {
  int written = kExitYes;
  if (arguments.format == "json")
    written = write_document(to_text(validations_json(validations), 2) + "\n", arguments.out);
  if (arguments.format == "sarif")
    written = write_document(to_text(validations_sarif(validations, describe_version(build_info())), 2) + "\n",
                             arguments.out);
  if (arguments.format == "junit")
    written = write_document(validations_junit(validations, arguments.strict), arguments.out);
  if (written != kExitYes) return written;
  for (const Validation& validation : validations)
    if (validation.count(Severity::error) > 0 || (arguments.strict && validation.count(Severity::warning) > 0))
      return kExitNo;
  return kExitYes;
}

int run_validate(ValidateArguments arguments) {
  if (arguments.rules) {
    fmt::print("{}", rules_markdown());
    return kExitYes;
  }
  if (arguments.paths.empty()) return report_error({Code::usage, "validate", "needs at least one PATH (or --rules)"});
  if (arguments.json) arguments.format = "json";
  if (!arguments.out.empty() && arguments.format == "text")
    return report_error({Code::usage, "-o", "is for --format json, sarif or junit"});
  for (const std::string& name : arguments.backends)
    if (!backend_from_name(name)) return report_error({Code::usage, "--backend", fmt::format("\"{}\" is unknown; known: {}", name, kKnownBackends)});
  const ValidateOptions options = options_of(arguments);
  ProgressPrinter printer(stderr, progress_options(arguments.progress));
  const auto show = [&](const ProgressEvent& event) {
    printer.show(event);
    return !stop_requested();
  };
  std::vector<Validation> validations;
  int failed = kExitYes;
  for (const std::string& argument : arguments.paths) {
    const auto found = find_model(argument);
    if (!found) {
      failed = report_error(found.error());
      continue;
    }
    for (const auto& path : models_at(*found)) {
      auto validation = validate(path, options, show);
      printer.clear();
      if (!validation) {
        failed = report_error(validation.error());
        if (failed != kExitCouldNot) return failed;
        continue;
      }
      if (arguments.format == "text") print_text(*validation, arguments);
      validations.push_back(std::move(*validation));
    }
  }
  const int answer = finish(validations, arguments);
  return failed != kExitYes ? failed : answer;
}

}  // namespace

void add_validate(Command app, int& exit_code) {
  const Command command = app.add_command("validate", "Name every defect of model files");
  const auto arguments = std::make_shared<ValidateArguments>();
  command.footer(kFooter);
  command.add_option("paths", arguments->paths, "Model files, folders, snapshots or repositories of the hub's cache, catalogue ids, ORG/REPO[:QUANT]");
  command.add_option("-l,--level", arguments->levels, "What to look at: structure, numbers, hash, run")
      .separated_by(',')
      .one_of({"structure", "numbers", "hash", "run"});
  command.add_option("--backend", arguments->backends, "What --level run holds against the float32 reference: cpu (default), vulkan, vulkan:N").one_value_each().separated_by(',');
  command.add_option("--format", arguments->format, "text, json, sarif or junit")
      .one_of({"text", "json", "sarif", "junit"})
      .shows_default();
  command.add_flag("--json", arguments->json, "Same as --format json");
  command.add_option("-o,--output", arguments->out, "Write the document to a file");
  command.add_flag("--strict", arguments->strict, "Warnings make the answer no, too");
  command.add_option("--sha256", arguments->sha256, "What the file must hash to");
  command.add_option("--sums", arguments->sums, "A list of hashes as sha256sum writes it").existing_file();
  command.add_option("-t,--threads", arguments->threads, "Threads; 0: as many as may be used")
      .between(0, 1024)
      .shows_default();
  command.add_flag("--no-advice", arguments->no_advice, "One line a finding");
  command.add_flag("--rules", arguments->rules, "Print every rule as Markdown and end");
  add_progress_options(command, arguments->progress);
  command.when_given([arguments, &exit_code] {
    survive_shrinking_files();
    exit_code = run_validate(*arguments);
  });
}

}  // namespace assay
