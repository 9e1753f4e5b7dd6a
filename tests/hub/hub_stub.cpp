// The answers of a hub.
#include "tests/hub/hub_stub.h"

#include <fmt/format.h>

#include "runtime/core/json.h"
#include "runtime/hub/digest.h"
#include "runtime/hub/url.h"

namespace assay::test {

namespace {

ServerReply refuse(unsigned status, std::string code, std::string message) {
  return {.status = status,
          .headers = {{"X-Error-Code", std::move(code)}, {"X-Error-Message", message}},
          .owned = "{\"error\":\"" + message + "\"}"};
}

std::string etag_of(const StubFile& file) {
  Hasher hasher(file.is_large ? DigestKind::sha256 : DigestKind::git_sha1, file.content.size());
  hasher.update(std::as_bytes(std::span(file.content)));
  return hasher.finish();
}

Json entry_of(const std::string& path, const StubFile& file) {
  Json entry;
  entry.set("type", "file")
      .set("oid", file.is_large ? std::string(40, 'a') : file.etag)
      .set("size", file.content.size())
      .set("path", path);
  if (!file.is_large) return entry;
  Json lfs;
  lfs.set("oid", file.etag).set("size", file.content.size()).set("pointerSize", 134);
  return entry.set("lfs", std::move(lfs));
}

// "/ORG/REPO/..." -> {"ORG/REPO", "..."}
std::pair<std::string, std::string> split_repository(const std::string& path) {
  const std::size_t first = path.find('/', 1), second = first == std::string::npos ? first : path.find('/', first + 1);
  if (first == std::string::npos) return {path.substr(1), ""};
  return {path.substr(1, second - 1), second == std::string::npos ? "" : path.substr(second + 1)};
}

}  // namespace

HubStub::HubStub(std::map<std::string, StubRepository> repositories, std::string certificate, std::string key)
    : repositories_(std::move(repositories)) {
  for (auto& [name, repository] : repositories_)
    for (auto& [path, file] : repository.files) {
      file.etag = etag_of(file);
      blobs_.emplace(file.etag, file.content);
    }
  files_ = std::make_unique<TestServer>(
      [this](const ServerRequest& request) {
        const std::lock_guard lock(mutex_);
        const auto blob = blobs_.find(request.target.substr(1, request.target.find('?') - 1));
        ServerReply reply = blob == blobs_.end()
                                ? ServerReply{.status = 404}
                                : serve(request, blob->second, "\"cdn-" + blob->first.substr(0, 12) + "\"");
        if (spoil_files_) spoil_files_(request, reply);
        return reply;
      },
      certificate, key);
  hub_ = std::make_unique<TestServer>(
      [this](const ServerRequest& request) {
        const std::lock_guard lock(mutex_);
        ServerReply reply = answer(request);
        if (spoil_hub_) spoil_hub_(request, reply);
        return reply;
      },
      certificate, key);
}

HubStub::~HubStub() = default;

std::string HubStub::endpoint() const {
  return hub_->url("", "localhost");
}

void HubStub::spoil_files(Spoil spoil) {
  const std::lock_guard lock(mutex_);
  spoil_files_ = std::move(spoil);
}

void HubStub::spoil_hub(Spoil spoil) {
  const std::lock_guard lock(mutex_);
  spoil_hub_ = std::move(spoil);
}

void HubStub::change(const std::string& repository, const std::string& path, StubFile file, const std::string& commit) {
  const std::lock_guard lock(mutex_);
  file.etag = etag_of(file);
  blobs_.emplace(file.etag, file.content);
  repositories_[repository].files[path] = std::move(file);
  repositories_[repository].commit = commit;
}

ServerReply HubStub::answer(const ServerRequest& request) {
  const std::string path = percent_decode(request.target.substr(0, request.target.find('?')));
  const bool is_api = path.starts_with("/api/models/");
  const auto [name, rest] = split_repository(is_api ? path.substr(11) : path);
  const auto found = repositories_.find(name);
  if (found == repositories_.end()) return refuse(401, "RepoNotFound", "Repository not found");
  const StubRepository& repository = found->second;
  if (!repository.renamed_to.empty()) {
    std::string target = request.target;
    target.replace(target.find(name), name.size(), repository.renamed_to);
    return {.status = 307, .headers = {{"Location", target}}};
  }
  if (repository.is_gated)
    return refuse(request.header("Authorization").empty() ? 401 : 403, "GatedRepo", "Access to model is restricted");
  if (!repository.token.empty() && request.header("Authorization") != "Bearer " + repository.token)
    return refuse(401, "RepoNotFound", "Repository not found");
  return is_api ? answer_api(request, path.substr(11)) : answer_file(request, path);
}

ServerReply HubStub::answer_api(const ServerRequest& request, const std::string& path) {
  const auto [name, rest] = split_repository(path);
  const StubRepository& repository = repositories_[name];
  const std::string revision = rest.substr(rest.find('/') + 1);
  if (revision != "main" && revision != repository.commit)
    return refuse(404, "RevisionNotFound", "Invalid rev id: " + revision);
  if (rest.starts_with("revision/")) {
    Json siblings = Json::Array{}, out;
    for (const auto& [file, _] : repository.files) siblings.push(Json(Json::Object{{"rfilename", Json(file)}}));
    out.set("id", name)
        .set("sha", repository.commit)
        .set("private", false)
        .set("gated", false)
        .set("tags", Json::Array{})
        .set("siblings", std::move(siblings));
    return {.headers = {{"Content-Type", "application/json"}}, .owned = to_text(out)};
  }
  if (rest.starts_with("paths-info/")) return answer_paths(request, repository);
  const std::size_t at = request.target.find("cursor=");
  std::size_t begin = at == std::string::npos ? 0 : std::stoul(request.target.substr(at + 7)), index = 0;
  Json list = Json::Array{};
  for (const auto& [file, content] : repository.files) {
    if (index >= begin && index < begin + page_size) list.push(entry_of(file, content));
    ++index;
  }
  ServerReply reply{.headers = {{"Content-Type", "application/json"}}, .owned = to_text(list)};
  if (begin + page_size < index)
    reply.headers.emplace_back("Link", fmt::format("<{}/api/models/{}/tree/{}?recursive=true&cursor={}>; rel=\"next\"",
                                                   endpoint(), name, revision, begin + page_size));
  return reply;
}

// All files: who asks picks its own.
ServerReply HubStub::answer_paths(const ServerRequest& request, const StubRepository& repository) {
  Json list = Json::Array{};
  const auto asked = parse_json(request.body);
  const Json* paths = asked ? asked->find("paths") : nullptr;
  for (const auto& [path, file] : repository.files) {
    bool is_asked = false;
    if (paths != nullptr && paths->array() != nullptr)
      for (const Json& each : *paths->array()) is_asked |= each.string() != nullptr && *each.string() == path;
    Json commit, entry = entry_of(path, file);
    commit.set("id", repository.commit).set("title", "a commit").set("date", "2026-01-01T00:00:00.000Z");
    if (is_asked) list.push(entry.set("lastCommit", std::move(commit)));
  }
  return {.headers = {{"Content-Type", "application/json"}}, .owned = to_text(list)};
}

ServerReply HubStub::answer_file(const ServerRequest& request, const std::string& path) {
  const auto [name, rest] = split_repository(path);
  const StubRepository& repository = repositories_[name];
  const std::size_t slash = rest.find('/', 8);
  if (!rest.starts_with("resolve/") || slash == std::string::npos)
    return refuse(404, "EntryNotFound", "Entry not found");
  const std::string revision = rest.substr(8, slash - 8);
  if (revision != "main" && revision != repository.commit)
    return refuse(404, "RevisionNotFound", "Invalid rev id: " + revision);
  const auto found = repository.files.find(rest.substr(slash + 1));
  if (found == repository.files.end()) return refuse(404, "EntryNotFound", "Entry not found");
  const StubFile& file = found->second;
  if (file.is_large)
    return {.status = 302,
            .headers = {{"X-Repo-Commit", repository.commit},
                        {"X-Linked-Etag", "\"" + file.etag + "\""},
                        {"X-Linked-Size", std::to_string(file.content.size())},
                        {"Accept-Ranges", "bytes"},
                        {"Location", files_->url("/" + file.etag + "?signature=abc")}}};
  ServerReply reply = serve(request, blobs_[file.etag], "\"" + file.etag + "\"");
  reply.headers.emplace_back("X-Repo-Commit", repository.commit);
  return reply;
}

}  // namespace assay::test
