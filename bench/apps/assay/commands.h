// The subcommands of assay and what they share: how errors, interruption and progress reach the user.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/command_line.h"
#include "runtime/core/error.h"
#include "runtime/core/progress.h"

namespace assay {

// What every command may answer; also told by `assay --help`.
inline constexpr int kExitYes = 0;       // done, the answer is yes
inline constexpr int kExitNo = 1;        // the answer is no
inline constexpr int kExitUsage = 2;     // the command line is wrong
inline constexpr int kExitCouldNot = 3;  // could not: unreadable, unsupported, no space
inline constexpr int kExitInterrupted = 130;

// Each adds one subcommand whose callback runs the command and sets `exit_code`.
void add_info(Command app, int& exit_code);
void add_tokenize(Command app, int& exit_code);
void add_synth(Command app, int& exit_code);
void add_quantize(Command app, int& exit_code);
void add_validate(Command app, int& exit_code);
void add_hardware(Command app, int& exit_code);
void add_bench(Command app, int& exit_code);
void add_results(Command app, int& exit_code);
void add_compare(Command app, int& exit_code);
void add_report(Command app, int& exit_code);
void add_pull(Command app, int& exit_code);
void add_cache(Command app, int& exit_code);
void add_list(Command app, int& exit_code);
void add_show(Command app, int& exit_code);
void add_use(Command app, int& exit_code);
void add_remove(Command app, int& exit_code);
void add_import(Command app, int& exit_code);
void add_export(Command app, int& exit_code);
void add_verify(Command app, int& exit_code);
void add_outdated(Command app, int& exit_code);
void add_update(Command app, int& exit_code);
void add_prepare(Command app, int& exit_code);

// What `assay info` prints of a model.
int show_info(const std::string& path);

// The command line with llama-bench's short options of several letters (-ngl, -ctk) written out, which `assay bench` knows.
std::vector<std::string> expand_short_options(int argc, char** argv);

// Prints "assay: error: MESSAGE" on stderr, control characters escaped.
void print_error(std::string_view message);
// Prints the error and returns the exit code that belongs to its code: use as `exit_code = exit_code_of(error)`.
int report_error(const Error& error);

// Ctrl-C asks long work to stop; a second one ends the program at once.
void catch_interrupts();
bool stop_requested();

// --progress bar|lines|json|none and --quiet, for commands with long work. `make_printer` decides what "auto" means
// here.
struct ProgressChoice {
  std::string style = "auto";
  bool quiet = false;
};
void add_progress_options(Command command, ProgressChoice& choice);
ProgressPrinter::Options progress_options(const ProgressChoice& choice);

// Text from a file made safe for a terminal: control characters and bytes that are not UTF-8 as \xNN.
std::string terminal_safe(std::string_view text);

}  // namespace assay
