// What assay's subcommands share: error messages, interruption, progress options, terminal-safe text.
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "bench/apps/assay/commands.h"

namespace assay {
namespace {

// The one mutable global of the program: a signal handler can reach nothing else.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// The length of the UTF-8 character at the start of `text`, 0 when it is none or a control character.
std::size_t printable_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  std::uint32_t code = first & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3fu);
  }
  const bool is_overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool is_control = code < 0xa0 || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff;
  // Characters that turn the direction of the text around could disguise a name.
  const bool is_direction = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  return is_overlong || is_control || is_direction ? 0 : length;
}

}  // namespace

std::string terminal_safe(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = printable_length(text);
    if (length == 0) {
      const auto byte = static_cast<unsigned char>(text[0]);
      out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

void print_error(std::string_view message) {
  std::fprintf(stderr, "assay: error: %s\n", terminal_safe(message).c_str());
}

int report_error(const Error& error) {
  if (error.code == Code::interrupted) {
    std::fprintf(stderr, "assay: stopped\n");
    return kExitInterrupted;
  }
  print_error(error.message());
  if (error.code == Code::usage) return kExitUsage;
  if (error.code == Code::mismatch) return kExitNo;
  return kExitCouldNot;
}

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted.store(true, std::memory_order_relaxed); };
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second Ctrl-C kills
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool stop_requested() {
  return interrupted.load(std::memory_order_relaxed);
}

void add_progress_options(Command command, ProgressChoice& choice) {
  command
      .add_option("--progress", choice.style,
                  "How progress is shown on stderr: auto (a bar on a terminal, else lines), bar, lines, json, none")
      .one_of({"auto", "bar", "lines", "json", "none"})
      .shows_default();
  command.add_flag("-q,--quiet", choice.quiet, "No progress and no notes");
}

ProgressPrinter::Options progress_options(const ProgressChoice& choice) {
  const bool is_terminal = isatty(STDERR_FILENO) != 0;
  ProgressPrinter::Options options{.style = is_terminal ? ProgressStyle::bar : ProgressStyle::lines};
  if (auto style = progress_style_from_name(choice.style)) options.style = *style;
  if (choice.quiet) options.style = ProgressStyle::none;
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  const bool is_dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  options.with_colour = is_terminal && !is_dumb && (no_color == nullptr || *no_color == '\0');
  winsize size = {};
  if (is_terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) options.width = size.ws_col;
  return options;
}

}  // namespace assay
