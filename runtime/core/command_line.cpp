// The command line on CLI11.
#include "runtime/core/command_line.h"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace assay {

Option Option::required() const { return option_->required(), *this; }
Option Option::value_name(const std::string& name) const { return option_->type_name(name), *this; }
Option Option::shows_default() const { return option_->capture_default_str(), *this; }
Option Option::one_of(std::span<const std::string_view> values) const {
  return option_->check(CLI::IsMember(std::vector<std::string>(values.begin(), values.end()))), *this;
}
Option Option::one_of(std::initializer_list<int> values) const { return option_->check(CLI::IsMember(std::vector<int>(values))), *this; }
Option Option::between_reals(double low, double high) const { return option_->check(CLI::Range(low, high)), *this; }
Option Option::between_integers(std::int64_t low, std::int64_t high) const { return option_->check(CLI::Range(low, high)), *this; }
Option Option::between_counts(std::uint64_t low, std::uint64_t high) const { return option_->check(CLI::Range(low, high)), *this; }
Option Option::existing_file() const { return option_->check(CLI::ExistingFile), *this; }
Option Option::excludes(const Option& other) const { return option_->excludes(other.option_), *this; }
Option Option::one_value_each() const { return option_->allow_extra_args(false), *this; }
Option Option::separated_by(char delimiter) const { return option_->delimiter(delimiter), *this; }
Option Option::from_environment(const std::string& variable) const { return option_->envname(variable), *this; }
Option Option::hidden() const { return option_->group(""), *this; }
bool Option::was_given() const { return option_->count() > 0; }

Command Command::add_command(const std::string& name, const std::string& description) const {
  return Command(app_->add_subcommand(name, description));
}
template <OptionValue T>
Option Command::add_option(const std::string& names, T& value, const std::string& help) const {
  return Option(app_->add_option(names, value, help));
}
Option Command::add_list(const std::string& names, std::function<void(const std::vector<std::string>&)> take,
                         const std::string& help) const {
  return Option(app_->add_option_function<std::vector<std::string>>(names, take, help));
}
Option Command::add_flag(const std::string& names, bool& value, const std::string& help) const {
  return Option(app_->add_flag(names, value, help));
}
Option Command::add_flag(const std::string& names, std::function<void()> take, const std::string& help) const {
  return Option(app_->add_flag_callback(names, std::move(take), help));
}
Command Command::footer(const std::string& text) const { return app_->footer(text), *this; }
Command Command::require_commands(std::size_t least, std::size_t most) const { return app_->require_subcommand(least, most), *this; }
Command Command::takes_options_of_subcommands() const { return app_->fallthrough(), *this; }
Command Command::when_given(std::function<void()> run) const { return app_->callback(std::move(run)), *this; }
bool Command::was_given() const { return app_->parsed(); }

template Option Command::add_option(const std::string&, std::string&, const std::string&) const;
template Option Command::add_option(const std::string&, std::vector<std::string>&, const std::string&) const;
template Option Command::add_option(const std::string&, int&, const std::string&) const;
template Option Command::add_option(const std::string&, std::uint32_t&, const std::string&) const;
template Option Command::add_option(const std::string&, std::int64_t&, const std::string&) const;
template Option Command::add_option(const std::string&, std::uint64_t&, const std::string&) const;
template Option Command::add_option(const std::string&, float&, const std::string&) const;
template Option Command::add_option(const std::string&, double&, const std::string&) const;
template Option Command::add_option(const std::string&, std::optional<std::string>&, const std::string&) const;
template Option Command::add_option(const std::string&, std::vector<int>&, const std::string&) const;
template Option Command::add_option(const std::string&, std::vector<std::uint32_t>&, const std::string&) const;

CommandLine::CommandLine(const std::string& program, const std::string& description)
    : app_(std::make_unique<CLI::App>(description, program)) {
  app_->get_formatter()->column_width(34);
}
CommandLine::~CommandLine() = default;
CommandLine::CommandLine(CommandLine&&) noexcept = default;
CommandLine& CommandLine::operator=(CommandLine&&) noexcept = default;

Command CommandLine::root() const { return Command(app_.get()); }

void CommandLine::set_version(std::function<std::string()> text, const std::string& help) {
  app_->set_version_flag("--version", std::move(text), help);
}

std::optional<int> CommandLine::parse(std::span<const std::string> arguments) {
  // CLI11 takes the arguments last one first, without the program's name.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend() - (arguments.empty() ? 0 : 1));
  try {
    app_->parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app_->exit(error);  // help and version come as exceptions, too
    const std::string program = app_->get_name();
    const auto chosen = app_->get_subcommands();
    const std::string command = chosen.empty() ? program : program + " " + chosen[0]->get_name();
    std::fprintf(stderr, "%s: error: %s\nTry: %s --help\n", program.c_str(), error.what(), command.c_str());
    return 2;
  }
  return std::nullopt;
}

std::optional<int> CommandLine::parse(int argc, char** argv) { return parse(std::vector<std::string>(argv, argv + argc)); }

}  // namespace assay
