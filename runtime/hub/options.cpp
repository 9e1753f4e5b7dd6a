// The environment of a hub client.
#include "runtime/hub/options.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>

namespace assay {

namespace fs = std::filesystem;

namespace {

std::string value_of(Environment environment, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (auto value = environment(name); value && !value->empty()) return *value;
  return "";
}

// HOME may be missing, as under cron and some service managers: then what the system's list of users says.
fs::path home_of(Environment environment) {
  if (const std::string home = value_of(environment, {"HOME"}); !home.empty()) return home;
  passwd entry{}, *found = nullptr;
  std::array<char, 4096> text{};
  if (::getpwuid_r(::getuid(), &entry, text.data(), text.size(), &found) == 0 && found != nullptr) return entry.pw_dir;
  return "/";
}

bool is_on(Environment environment, std::initializer_list<const char*> names) {
  std::string value = value_of(environment, names);
  std::transform(value.begin(), value.end(), value.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

Result<std::chrono::milliseconds> seconds_of(Environment environment, const char* name,
                                             std::chrono::milliseconds otherwise) {
  const std::string text = value_of(environment, {name});
  if (text.empty()) return otherwise;
  double seconds = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (problem != std::errc() || end != text.data() + text.size() || !(seconds > 0) || seconds > 86400)
    return Error{Code::usage, name, "must be a number of seconds above 0, not '" + text + "'"};
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

fs::path expand_home(const std::string& text, const fs::path& home) {
  if (text == "~") return home;
  return text.starts_with("~/") ? home / text.substr(2) : fs::path(text);
}

std::string first_line(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
  return line;
}

}  // namespace

Result<HubOptions> hub_options(Environment environment) {
  HubOptions options;
  const fs::path home = home_of(environment);
  const std::string caches = value_of(environment, {"XDG_CACHE_HOME"});
  const fs::path cache_home = caches.empty() ? home / ".cache" : expand_home(caches, home);
  const std::string hub_home = value_of(environment, {"HF_HOME"});
  const fs::path hf_home = hub_home.empty() ? cache_home / "huggingface" : expand_home(hub_home, home);
  const std::string cache = value_of(environment, {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  options.cache_folder = cache.empty() ? hf_home / "hub" : expand_home(cache, home);
  options.files_folder = cache_home / "assay" / "files";

  if (const std::string endpoint = value_of(environment, {"HF_ENDPOINT"}); !endpoint.empty()) {
    options.endpoint = endpoint;
    while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
    if (const auto url = parse_url(options.endpoint); !url)
      return Error{Code::usage, "HF_ENDPOINT", "'" + endpoint + "' " + url.error().detail};
  }
  options.token = value_of(environment, {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"});
  const std::string token_path = value_of(environment, {"HF_TOKEN_PATH"});
  if (options.token.empty() && !is_on(environment, {"HF_HUB_DISABLE_IMPLICIT_TOKEN"}))
    options.token = first_line(token_path.empty() ? hf_home / "token" : expand_home(token_path, home));
  options.is_offline = is_on(environment, {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"});
  options.uses_symlinks = !is_on(environment, {"HF_HUB_DISABLE_SYMLINKS"});
  options.shows_progress = !is_on(environment, {"HF_HUB_DISABLE_PROGRESS_BARS"});

  ASSAY_TRY(options.http.answer_timeout, seconds_of(environment, "HF_HUB_ETAG_TIMEOUT", options.http.answer_timeout));
  ASSAY_TRY(options.http.stall_timeout, seconds_of(environment, "HF_HUB_DOWNLOAD_TIMEOUT", options.http.stall_timeout));
  options.http.connect_timeout = options.http.answer_timeout;
  options.http.proxies.http = value_of(environment, {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"});
  options.http.proxies.https = value_of(environment, {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"});
  options.http.proxies.none = value_of(environment, {"no_proxy", "NO_PROXY"});
  return options;
}

}  // namespace assay
