// A command line described once: options bound to variables, checked, told by --help. The parser behind it (CLI11) costs
// seconds of compiling wherever its header is read, so that only command_line.cpp does.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace assay {

// What an option may be bound to.
template <class T>
concept OptionValue =
    std::same_as<T, std::string> || std::same_as<T, std::vector<std::string>> || std::same_as<T, int> || std::same_as<T, std::uint32_t> ||
    std::same_as<T, std::int64_t> || std::same_as<T, std::uint64_t> || std::same_as<T, float> || std::same_as<T, double> ||
    std::same_as<T, std::optional<std::string>> || std::same_as<T, std::vector<int>> || std::same_as<T, std::vector<std::uint32_t>>;

// A handle to one option of a command; lives as long as its CommandLine. Every setter returns the handle.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option required() const;
  // What --help shows for the value: FILE.
  Option value_name(const std::string& name) const;
  // Shows in --help what the variable held when the option was described.
  Option shows_default() const;
  Option one_of(std::span<const std::string_view> values) const;
  Option one_of(std::initializer_list<std::string_view> values) const { return one_of(std::span(values.begin(), values.size())); }
  Option one_of(std::initializer_list<int> values) const;
  // Both ends included.
  template <class T>
    requires std::integral<T> || std::floating_point<T>
  Option between(T low, T high) const {
    if constexpr (std::floating_point<T>) return between_reals(low, high);
    else if constexpr (std::signed_integral<T>) return between_integers(low, high);
    else return between_counts(low, high);
  }
  Option existing_file() const;
  // May not come together with the other.
  Option excludes(const Option& other) const;
  // A list takes one value each time it is given, and not all that follow.
  Option one_value_each() const;
  Option separated_by(char delimiter) const;
  // Takes its value from this variable of the environment where the command line has none.
  Option from_environment(const std::string& variable) const;
  // Not told by --help.
  Option hidden() const;
  bool was_given() const;

 private:
  Option between_reals(double low, double high) const;
  Option between_integers(std::int64_t low, std::int64_t high) const;
  Option between_counts(std::uint64_t low, std::uint64_t high) const;

  CLI::Option* option_;
};

// A handle to a program's command line or to one of its subcommands; lives as long as its CommandLine.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  Command add_command(const std::string& name, const std::string& description) const;
  // `names` as "-t,--threads" or "model" for a positional one or both. The variable must outlive the parse.
  template <OptionValue T>
  Option add_option(const std::string& names, T& value, const std::string& help = {}) const;
  // Calls back with the values instead of storing them.
  Option add_list(const std::string& names, std::function<void(const std::vector<std::string>&)> take, const std::string& help) const;
  Option add_flag(const std::string& names, bool& value, const std::string& help) const;
  Option add_flag(const std::string& names, std::function<void()> take, const std::string& help) const;
  // Text after the options: examples, exit codes.
  Command footer(const std::string& text) const;
  // How many subcommands must and may be given.
  Command require_commands(std::size_t least, std::size_t most) const;
  // Options that a subcommand does not know are looked for here.
  Command takes_options_of_subcommands() const;
  // Runs when the command line was right and named this command.
  Command when_given(std::function<void()> run) const;
  bool was_given() const;

 private:
  CLI::App* app_;
};

// The command line of one program: the one library that prints, since help and usage errors look the same in all.
class CommandLine {
 public:
  CommandLine(const std::string& program, const std::string& description);
  ~CommandLine();
  CommandLine(CommandLine&&) noexcept;
  CommandLine& operator=(CommandLine&&) noexcept;

  Command root() const;
  // Adds --version; the text is made when it is asked for.
  void set_version(std::function<std::string()> text, const std::string& help);
  // Parses `arguments`, the program's name in front, and runs the commands they name. Returns the code to exit with when
  // the program is done then: 0 after --help and --version, 2 after an error, told as "PROGRAM: error: MESSAGE" on stderr.
  // What the commands throw passes through.
  std::optional<int> parse(std::span<const std::string> arguments);
  std::optional<int> parse(int argc, char** argv);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace assay
