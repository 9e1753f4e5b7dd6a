// yaml-cpp's events made into a tree of our own: its node graph would follow aliases without an end.
#include "runtime/registry/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "runtime/core/mapped_file.h"
#include "runtime/hub/api.h"

namespace assay {

namespace {

constexpr std::size_t kMostBytes = 1 << 20, kMostLevels = 32, kMostNodes = 100'000;

struct Refusal {
  YamlPlace place;
  std::string message;
};

// Builds a tree from the parser's events; after the first refusal it ignores what else comes.
class TreeBuilder : public YAML::EventHandler {
 public:
  YamlNode take() { return std::move(root_); }
  const std::optional<Refusal>& refusal() const { return refusal_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { add(mark, {}); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(place_of(mark), "aliases (*name) are not supported; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& value) override {
    YamlNode node;
    node.kind = YamlNode::Kind::scalar;
    node.text = value;
    node.is_quoted = tag == "!";  // yaml-cpp's mark of a quoted scalar
    if (!node.is_quoted && (value.empty() || value == "~" || value == "null" || value == "Null" || value == "NULL"))
      node.kind = YamlNode::Kind::null;
    add(mark, std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark, YamlNode::Kind::list);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark, YamlNode::Kind::map);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    YamlNode node;
    std::optional<YamlMember> pending{};  // a key whose value is still to come
  };

  static YamlPlace place_of(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

  void refuse(YamlPlace place, std::string message) {
    if (!refusal_) refusal_ = Refusal{place, std::move(message)};
  }
  void open(const YAML::Mark& mark, YamlNode::Kind kind) {
    if (levels_.size() >= kMostLevels)
      refuse(place_of(mark), fmt::format("is nested more than {} levels deep", kMostLevels));
    if (!counts(mark)) return;
    Level level;
    level.node.kind = kind;
    level.node.place = place_of(mark);
    levels_.push_back(std::move(level));
  }
  void close() {
    if (refusal_) return;
    YamlNode node = std::move(levels_.back().node);
    levels_.pop_back();
    attach(std::move(node));
  }
  void add(const YAML::Mark& mark, YamlNode node) {
    if (!counts(mark)) return;
    node.place = place_of(mark);
    attach(std::move(node));
  }
  bool counts(const YAML::Mark& mark) {
    if (++nodes_ > kMostNodes) refuse(place_of(mark), fmt::format("has more than {} values", kMostNodes));
    return !refusal_;
  }
  void attach(YamlNode node) {
    if (levels_.empty()) return void(root_ = std::move(node));
    Level& level = levels_.back();
    if (level.node.kind == YamlNode::Kind::list) return void(level.node.elements.push_back(std::move(node)));
    if (level.pending) {
      level.pending->value = std::move(node);
      level.node.members.push_back(std::move(*level.pending));
      return level.pending.reset();
    }
    if (node.kind != YamlNode::Kind::scalar) return refuse(node.place, "a key must be plain text");
    if (level.node.find(node.text) != nullptr)
      return refuse(node.place, fmt::format("\"{}\" stands here twice", node.text));
    level.pending = YamlMember{node.text, node.place, {}};
  }

  YamlNode root_;
  std::optional<Refusal> refusal_;
  std::vector<Level> levels_;
  std::size_t nodes_ = 0;
};

Error place_error(std::string_view name, YamlPlace place, std::string message) {
  return Error{Code::malformed, fmt::format("{}:{}:{}", name, place.line, place.column), std::move(message)};
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  for (const YamlMember& member : members)
    if (member.key == key) return &member.value;
  return nullptr;
}

Result<YamlNode> parse_yaml(std::string_view text, std::string_view name) {
  if (text.size() > kMostBytes) return Error{Code::malformed, std::string(name), "is larger than a megabyte"};
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos)
    return Error{Code::malformed, std::string(name), "holds a NUL byte and is no text", {}, nul};
  TreeBuilder builder;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    if (builder.refusal()) return place_error(name, builder.refusal()->place, builder.refusal()->message);
    YamlNode root = builder.take();
    TreeBuilder rest;
    if (parser.HandleNextDocument(rest))
      return Error{Code::malformed, std::string(name), "holds more than one document; leave one"};
    return root;
  } catch (const YAML::Exception& problem) {
    return place_error(name, {problem.mark.line + 1, problem.mark.column + 1}, problem.msg);
  } catch (const std::bad_alloc&) {
    return Error{Code::memory, std::string(name), "no memory to read it"};
  }
}

Result<YamlNode> read_yaml_file(const std::filesystem::path& path) {
  ASSAY_TRY(const MappedFile file, MappedFile::open(path));
  return parse_yaml({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, path.string());
}

std::string describe(const YamlProblem& problem, std::string_view name) {
  return fmt::format("{}:{}:{}: {}{}{}", name, problem.line, problem.column, problem.key,
                     problem.key.empty() ? "" : ": ", problem.message);
}

std::optional<std::uint64_t> bytes_from_text(std::string_view text) {
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (problem != std::errc() || !(value >= 0)) return std::nullopt;
  std::string unit(end, text.data() + text.size());
  std::erase(unit, ' ');
  std::transform(unit.begin(), unit.end(), unit.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  if (unit.ends_with('B')) unit.pop_back();
  const bool is_binary = unit.ends_with('I');
  if (is_binary) unit.pop_back();
  constexpr std::string_view kPrefixes = "KMGT";
  const std::size_t power = unit.empty() && !is_binary ? 0
                            : unit.size() == 1 && kPrefixes.find(unit) != std::string_view::npos
                                ? kPrefixes.find(unit) + 1
                                : 99;
  if (power == 99) return std::nullopt;
  value *= std::pow(is_binary ? 1024.0 : 1000.0, static_cast<double>(power));
  if (value > 9e18) return std::nullopt;
  return static_cast<std::uint64_t>(value + 0.5);
}

std::string near_name(std::string_view name, const std::vector<std::string_view>& known) {
  const std::vector<std::string> nearest = nearest_names(name, {known.begin(), known.end()}, 1);
  return nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest.front());
}

namespace yaml_detail {

std::optional<bool> boolean(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::scalar || node.is_quoted) return std::nullopt;
  for (const char* yes : {"true", "True", "yes", "on"})
    if (node.text == yes) return true;
  for (const char* no : {"false", "False", "no", "off"})
    if (node.text == no) return false;
  return std::nullopt;
}

std::optional<std::int64_t> integer(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::scalar || node.is_quoted) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(node.text.data(), node.text.data() + node.text.size(), value);
  return problem == std::errc() && end == node.text.data() + node.text.size() ? std::optional(value) : std::nullopt;
}

std::optional<double> number(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::scalar || node.is_quoted) return std::nullopt;
  double value = 0;
  const auto [end, problem] = std::from_chars(node.text.data(), node.text.data() + node.text.size(), value);
  return problem == std::errc() && end == node.text.data() + node.text.size() && std::isfinite(value)
             ? std::optional(value)
             : std::nullopt;
}

std::string suggestion(std::string_view name, const std::vector<std::string_view>& known) {
  std::string all = near_name(name, known);
  if (!all.empty()) return all;
  for (const std::string_view each : known) all += (all.empty() ? "; known: " : ", ") + std::string(each);
  return all;
}

}  // namespace yaml_detail

}  // namespace assay
