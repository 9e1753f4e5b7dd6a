// Requests to a hub's interface and the reading of its answers.
#include "runtime/hub/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "runtime/core/json.h"
#include "runtime/hub/cache_layout.h"
#include "runtime/hub/digest.h"

namespace assay {

namespace {

constexpr std::size_t kAnswerLimit = 64 << 20;
constexpr std::size_t kErrorLimit = 64 << 10;
constexpr int kMaxPages = 1000;
constexpr JsonLimits kJsonLimits{.max_depth = 32, .max_tree_bytes = std::size_t{512} << 20};

struct Answer {
  HttpHead head;
  std::string body;
};

HttpHeaders authorization(const HubOptions& options) {
  HttpHeaders headers;
  if (!options.token.empty()) headers.emplace_back("Authorization", "Bearer " + options.token);
  return headers;
}

// Any status is an answer.
Result<Answer> ask_once(HubContext& context, HttpClient& client, const Url& url) {
  ASSAY_TRY(HttpHead head, client.open({.url = url, .headers = authorization(context.options)}));
  Result<std::string> body = client.read_all(head.status == 200 ? kAnswerLimit : kErrorLimit);
  client.finish();
  if (!body && head.status == 200) return std::move(body).error();
  return Answer{std::move(head), body ? *std::move(body) : ""};
}

// Tries again after what may pass.
Result<Answer> ask(HubContext& context, EventTeller& events, HttpClient& client, const std::string& address,
                   std::string_view what) {
  ASSAY_TRY(const Url url, parse_url(address));
  Retry retry(context.options.retry);
  for (;;) {
    Result<Answer> answer = ask_once(context, client, url);
    if (answer && answer->head.status == 200) return answer;
    const Error error = answer ? status_error(answer->head, what, answer->body) : answer.error();
    const auto wait =
        error.code != Code::network ? std::nullopt : retry.next(answer ? asked_wait(answer->head) : std::nullopt);
    if (!wait) return error;
    events.tell({.step = PullStep::retrying, .message = retry_text(error, *wait)});
    if (!sleep_for(*wait, context.stop)) return Error{Code::interrupted, "", "stopped"};
  }
}

Error bad_answer(std::string_view what) {
  return Error{Code::malformed, "the hub's answer", std::string(what) + "; is this a hub?"};
}

const std::string* text_at(const Json& object, std::string_view key) {
  const Json* value = object.find(key);
  return value == nullptr ? nullptr : value->string();
}

Result<HubFile> parse_entry(const Json& entry) {
  const std::string *path = text_at(entry, "path"), *oid = text_at(entry, "oid");
  const Json *size = entry.find("size"), *lfs = entry.find("lfs");
  if (path == nullptr || size == nullptr || !size->unsigned_integer())
    return bad_answer("lists a file without path or size");
  HubFile file{.path = *path, .size = *size->unsigned_integer(), .etag = oid != nullptr ? *oid : ""};
  if (lfs != nullptr && lfs->is_object()) {
    const std::string* hash = text_at(*lfs, "oid");
    if (hash == nullptr) return bad_answer("lists a large file without its hash");
    file.etag = hash->starts_with("sha256:") ? hash->substr(7) : *hash;
    if (const Json* real = lfs->find("size"); real != nullptr && real->unsigned_integer())
      file.size = *real->unsigned_integer();
  }
  if (file.size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return bad_answer("lists a file of impossible size");
  const auto digest = digest_of_etag(file.etag);
  if (!digest) return bad_answer("lists " + file.path + " with '" + file.etag.substr(0, 80) + "', which is no hash");
  file.etag = digest->hex;
  return file;
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (std::tolower(static_cast<unsigned char>(a[i - 1])) ==
                                                     std::tolower(static_cast<unsigned char>(b[j - 1]))
                                                 ? 0
                                                 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
    }
  }
  return row[b.size()];
}

}  // namespace

Result<HubListing> parse_revision(std::string_view text, std::string_view repository) {
  ASSAY_TRY(const Json answer, parse_json(text, kJsonLimits));
  const std::string *commit = text_at(answer, "sha"), *id = text_at(answer, "id");
  if (commit == nullptr || commit->find('/') != std::string::npos || !safe_path(*commit))
    return bad_answer("names no commit");
  HubListing listing{.repository = std::string(repository), .commit = *commit, .files = {}};
  if (id != nullptr && safe_path(*id) && std::count(id->begin(), id->end(), '/') <= 1 &&
      id->find("--") == std::string::npos)
    listing.repository = *id;
  return listing;
}

Result<> parse_tree_page(std::string_view text, std::vector<HubFile>& files) {
  ASSAY_TRY(const Json answer, parse_json(text, kJsonLimits));
  if (answer.array() == nullptr) return bad_answer("is no list of files");
  for (const Json& entry : *answer.array()) {
    const std::string* type = text_at(entry, "type");
    if (type == nullptr) return bad_answer("lists something without a type");
    if (*type != "file") continue;
    ASSAY_TRY(HubFile file, parse_entry(entry));
    files.push_back(std::move(file));
  }
  return success();
}

std::string next_link(std::string_view header) {
  while (!header.empty()) {
    const std::size_t begin = header.find('<'), end = header.find('>', begin);
    if (end == std::string_view::npos) return "";
    const std::string_view address = header.substr(begin + 1, end - begin - 1);
    header.remove_prefix(end + 1);
    const std::string_view parameters = header.substr(0, header.find('<'));
    if (parameters.find("rel=\"next\"") != std::string_view::npos ||
        parameters.find("rel=next") != std::string_view::npos)
      return std::string(address);
    header.remove_prefix(parameters.size());
  }
  return "";
}

Result<HubListing> list_repository(HubContext& context, EventTeller& events, const std::string& repository,
                                   const std::string& revision) {
  HttpClient client(context.options.http, context.trust, context.stop);
  const std::string models = context.options.endpoint + "/api/models/";
  const std::string address = models + percent_encode(repository) + "/revision/" + percent_encode(revision, false);
  ASSAY_TRY(const Answer revision_answer, ask(context, events, client, address, repository));
  ASSAY_TRY(HubListing listing, parse_revision(revision_answer.body, repository));

  std::string page = models + percent_encode(listing.repository) + "/tree/" + percent_encode(listing.commit, false) +
                     "?recursive=true";
  for (int i = 0; !page.empty(); ++i) {
    if (i == kMaxPages) return bad_answer("has more than a thousand pages of files");
    ASSAY_TRY(const Answer answer, ask(context, events, client, page, repository));
    ASSAY_TRY_VOID(parse_tree_page(answer.body, listing.files));
    const std::string next = next_link(answer.head.header("Link"));
    page.clear();
    if (next.empty()) continue;
    ASSAY_TRY(const Url following, resolve_url(answer.head.url, next));
    page = answer.head.url.origin() + following.target;  // at the same host, whatever a mirror's listing says
  }
  return listing;
}

std::string file_url(std::string_view endpoint, std::string_view repository, std::string_view commit,
                     std::string_view path) {
  return fmt::format("{}/{}/resolve/{}/{}", endpoint, percent_encode(repository), percent_encode(commit, false),
                     percent_encode(path));
}

std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& names,
                                       std::size_t count) {
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const std::string& each : names)
    if (each.size() < 300) ranked.emplace_back(distance(name, each), each);
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> out;
  for (const auto& [far, each] : ranked)
    if (out.size() < count && far <= std::max<std::size_t>(name.size(), each.size()) / 2) out.push_back(each);
  return out;
}

}  // namespace assay
