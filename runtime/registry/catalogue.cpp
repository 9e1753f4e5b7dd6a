// Reading of catalogue files, and the search in their rows.
#include "runtime/registry/catalogue.h"

#include <algorithm>
#include <cctype>

#include "runtime/hub/source.h"
#include "runtime/model/arch.h"
#include "runtime/registry/yaml.h"

namespace assay {

namespace {

namespace fs = std::filesystem;

bool equals(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

Error all_problems(const std::vector<YamlProblem>& problems, std::string_view name) {
  std::string text;
  for (const YamlProblem& problem : problems) text += (text.empty() ? "" : "\n") + describe(problem, name);
  return Error{Code::malformed, "catalogue", text};
}

// What a row must say to be of use.
std::string complaint(const CatalogueRow& row) {
  if (row.availability == Availability::bundled && row.path.empty()) return "a bundled row needs path";
  if (row.availability == Availability::available && row.repository.empty())
    return "an available row needs repository: ORG/REPO";
  if (row.availability == Availability::unavailable && row.reason.empty()) return "an unavailable row needs reason";
  if (!row.repository.empty() && std::count(row.repository.begin(), row.repository.end(), '/') != 1)
    return "repository must be ORG/REPO";
  return "";
}

Result<> add_rows(std::vector<CatalogueRow>& rows, const YamlNode& document, std::string_view name) {
  std::vector<YamlProblem> problems;
  const auto wrong = [&](const YamlPlace& place, std::string message) {
    problems.push_back({"models", place.line, place.column, std::move(message)});
  };
  const YamlNode* models = document.find("models");
  if (models == nullptr || models->kind != YamlNode::Kind::list || document.members.size() != 1) {
    wrong(document.place, "the file must be one list called models, each element with an id");
    return all_problems(problems, name);
  }
  for (const YamlNode& each : models->elements) {
    const YamlNode* id = each.find("id");
    if (id == nullptr || id->kind != YamlNode::Kind::scalar || id->text.find('/') != std::string::npos) {
      wrong(each.place, "a row needs an id, a name without slashes");
      continue;
    }
    const auto known =
        std::find_if(rows.begin(), rows.end(), [&](const CatalogueRow& row) { return equals(row.id, id->text); });
    CatalogueRow row = known == rows.end() ? CatalogueRow{} : *known;
    read_yaml(each, row, problems, "models[" + id->text + "]");
    if (row.name.empty()) row.name = row.id;
    if (const std::string problem = complaint(row); !problem.empty()) wrong(each.place, id->text + ": " + problem);
    if (known == rows.end())
      rows.push_back(std::move(row));
    else
      *known = std::move(row);
  }
  if (!problems.empty()) return all_problems(problems, name);
  return success();
}

}  // namespace

bool CatalogueRow::runs_here() const {
  return arch_from_gguf(architecture) != nullptr || arch_from_hf(architecture) != nullptr || wrapper_from_hf(architecture) != nullptr;
}

Error CatalogueRow::refusal() const {
  std::string others;
  for (const std::string& other : instead) others += (others.empty() ? "; take " : ", ") + other;
  return Error{Code::unsupported, id, reason + others};
}

Result<Catalogue> Catalogue::open(const fs::path& user_file) {
  std::vector<CatalogueRow> rows;
  ASSAY_TRY(const YamlNode built_in, parse_yaml(catalogue_text(), "catalogue.yaml"));
  ASSAY_TRY_VOID(add_rows(rows, built_in, "catalogue.yaml"));
  std::error_code ignored;
  if (!user_file.empty() && fs::exists(user_file, ignored)) {
    ASSAY_TRY(const YamlNode document, read_yaml_file(user_file));
    ASSAY_TRY_VOID(add_rows(rows, document, user_file.string()));
  }
  return Catalogue(std::move(rows));
}

const CatalogueRow* Catalogue::find(std::string_view id) const {
  const auto found =
      std::find_if(rows_.begin(), rows_.end(), [&](const CatalogueRow& row) { return equals(row.id, id); });
  return found == rows_.end() ? nullptr : &*found;
}

const CatalogueRow* Catalogue::find_file(std::string_view repository, std::string_view file) const {
  const auto found = std::find_if(rows_.begin(), rows_.end(), [&](const CatalogueRow& row) {
    return !row.repository.empty() && equals(row.repository, repository) &&
           (row.file.empty() ? file.empty() : matches_glob(row.file, file));
  });
  return found == rows_.end() ? nullptr : &*found;
}

const CatalogueRow* Catalogue::recommended() const {
  const auto found = std::find_if(rows_.begin(), rows_.end(), [](const CatalogueRow& row) { return row.recommended; });
  return found == rows_.end() ? nullptr : &*found;
}

std::string Catalogue::suggestion(std::string_view id) const {
  std::vector<std::string_view> ids;
  for (const CatalogueRow& row : rows_) {
    if (!id.empty() && row.id.starts_with(id)) return "; did you mean \"" + row.id + "\"?";
    ids.push_back(row.id);
  }
  return near_name(id, ids);
}

}  // namespace assay
