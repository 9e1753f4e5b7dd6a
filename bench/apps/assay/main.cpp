// assay: looks into, makes and converts local language-model files. Parses arguments, calls, prints.
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "bench/apps/assay/commands.h"
#include "runtime/core/build_info.h"
#include "runtime/core/cpu.h"

namespace {

constexpr const char* kFooter = R"(Examples:
  assay info model.gguf                        what the file holds and the memory it needs
  assay info folder/ --tensors --json          the same of a Hugging Face or MLX folder, for programs
  assay tokenize model.gguf "Once upon a time" ids of a text
  assay synth llama-3.2-1b:Q4_K_M test.gguf    a model of that shape with random weights, to measure speed with
  assay quantize model.gguf small.gguf --type Q4_K_M
  assay validate model.gguf                    every defect of a file, named; the answer is yes when there is none
  assay pull ORG/REPO                          download a model; goes on where it was interrupted
  assay hardware                               what this machine is, and its measured limits
  assay bench model.gguf -p 512 -n 128 -t 1,2  speed, latency, memory and start, checked and recorded
  assay compare main HEAD                      is it slower? exit 1 says yes
  assay report latest -o report.html           a page of results
  assay list --fits                            models by name: what there is, what is here, how fast it was
  assay prepare assay.yaml                     from a file to a model that answers: check, pull, verify, load, try
  assay COMMAND --help                         all options of a command, with examples

A model is a .gguf file (any part of a split one), a .safetensors file, a model.safetensors.index.json, or a folder with one of these; or
a catalogue id (assay list), ORG/REPO[:QUANT] of what is in the Hugging Face cache, or the name of an imported model.

Exit codes:
  0    done; the answer is yes
  1    the answer is no (findings, a wrong result, a difference)
  2    the command line is wrong
  3    could not: unreadable, unsupported, no space, not comparable
  130  interrupted by Ctrl-C

NO_COLOR=1 turns colours off.)";

std::string version_text() {
  const assay::BuildInfo& info = assay::build_info();
  std::string text = "assay " + assay::describe_version(info) + "\n";
  text += "compiler  " + std::string(info.compiler) + ", " + std::string(info.build_type) + "\n";
  text += "isa       " + assay::describe_isa(assay::detect_isa()) + "\n";
  text += std::string("vulkan    ") + (info.has_vulkan ? "yes" : "no");
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  assay::CommandLine line("assay", "Assay looks into, makes and converts local language-model files.");
  line.set_version(version_text, "Version, commit, compiler, instruction sets, Vulkan");
  const assay::Command app = line.root();
  app.footer(kFooter);
  app.require_commands(1, 1);

  int exit_code = assay::kExitYes;
  assay::add_info(app, exit_code);
  assay::add_tokenize(app, exit_code);
  assay::add_synth(app, exit_code);
  assay::add_quantize(app, exit_code);
  assay::add_validate(app, exit_code);
  assay::add_hardware(app, exit_code);
  assay::add_bench(app, exit_code);
  assay::add_results(app, exit_code);
  assay::add_compare(app, exit_code);
  assay::add_report(app, exit_code);
  assay::add_pull(app, exit_code);
  assay::add_cache(app, exit_code);
  assay::add_list(app, exit_code);
  assay::add_show(app, exit_code);
  assay::add_use(app, exit_code);
  assay::add_remove(app, exit_code);
  assay::add_verify(app, exit_code);
  assay::add_outdated(app, exit_code);
  assay::add_update(app, exit_code);
  assay::add_import(app, exit_code);
  assay::add_export(app, exit_code);
  assay::add_prepare(app, exit_code);
  assay::catch_interrupts();
  try {
    if (const auto end = line.parse(assay::expand_short_options(argc, argv))) return *end;
  } catch (const std::bad_alloc&) {
    assay::print_error("out of memory");
    return assay::kExitCouldNot;
  } catch (const std::exception& error) {
    assay::print_error(error.what());
    return assay::kExitCouldNot;
  }
  return assay::stop_requested() && exit_code == assay::kExitYes ? assay::kExitInterrupted : exit_code;
}
