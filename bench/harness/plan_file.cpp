// Plan files: YAML of option names and values, every value with its line and column.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "bench/harness/plan.h"

namespace assay {

namespace {

constexpr std::size_t kLargestFile = 1 << 20;  // a plan is a page of text

struct Place {
  std::string file;
  std::string of(const YAML::Mark& mark) const { return mark.is_null() ? file : fmt::format("{}:{}:{}", file, mark.line + 1, mark.column + 1); }
  Error error(const YAML::Mark& mark, std::string detail) const { return Error{Code::usage, of(mark), std::move(detail)}; }
};

bool is_known(const std::string& key) {
  return key == "model" || key == "preset" ||
         std::any_of(kPlanOptions.begin(), kPlanOptions.end(), [&](const PlanOption& option) { return option.name == key; });
}

// [512, 128] is the pair "512,128" where a pair is wanted.
Result<std::string> pair_text(const YAML::Node& node, const Place& place) {
  if (node.IsScalar()) return node.Scalar();
  if (!node.IsSequence() || node.size() != 2 || !node[0].IsScalar() || !node[1].IsScalar()) return place.error(node.Mark(), "must be a pair: [512, 128]");
  return node[0].Scalar() + "," + node[1].Scalar();
}

Result<> add_values(const std::string& key, const YAML::Node& node, const Place& place, std::vector<PlanValue>& out) {
  if (node.IsScalar()) {
    out.push_back({node.Scalar(), place.of(node.Mark())});
    return success();
  }
  if (!node.IsSequence() || node.size() == 0) return place.error(node.Mark(), fmt::format("\"{}\" must be a value or a list of values", key));
  const bool is_one_pair = key == "pg" && node.size() == 2 && node[0].IsScalar() && node[0].Scalar().find(',') == std::string::npos;
  if (is_one_pair) {
    ASSAY_TRY(std::string text, pair_text(node, place));
    out.push_back({std::move(text), place.of(node.Mark())});
    return success();
  }
  for (const YAML::Node& element : node) {
    if (key == "pg") {
      ASSAY_TRY(std::string text, pair_text(element, place));
      out.push_back({std::move(text), place.of(element.Mark())});
    } else if (element.IsScalar()) {
      out.push_back({element.Scalar(), place.of(element.Mark())});
    } else {
      return place.error(element.Mark(), fmt::format("\"{}\" must be a list of plain values", key));
    }
  }
  return success();
}

Result<PlanText> read_document(const std::string& text, const Place& place) {
  const YAML::Node document = YAML::Load(text);
  if (!document.IsMap()) return place.error(document.Mark(), "must be a list of \"option: value\" lines, such as \"model: model.gguf\"");
  PlanText out;
  for (const auto& entry : document) {
    if (!entry.first.IsScalar()) return place.error(entry.first.Mark(), "an option's name must be plain text");
    std::string key = entry.first.Scalar();
    if (key == "models") key = "model";
    if (!is_known(key)) return place.error(entry.first.Mark(), fmt::format("\"{}\" is no option; they are called as in assay bench --help, without the dashes", key));
    if (out.has(key)) return place.error(entry.first.Mark(), fmt::format("\"{}\" stands here twice", key));
    ASSAY_TRY_VOID(add_values(key, entry.second, place, out.options[key]));
  }
  return out;
}

}  // namespace

Result<PlanText> read_plan_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{Code::not_found, "--plan", "cannot read the plan", path.string()};
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad() || text.size() > kLargestFile) return Error{Code::io, "--plan", "is no plan: it cannot be read or is larger than a megabyte", path.string()};
  const Place place{path.string()};
  try {
    return read_document(text, place);
  } catch (const YAML::Exception& problem) {
    return Error{Code::malformed, place.of(problem.mark), problem.msg};
  }
}

ASSAY_JSON_HERE(BenchPlan)

}  // namespace assay
