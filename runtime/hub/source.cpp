// Reading of references to models on a hub, and globs.
#include "runtime/hub/source.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "runtime/hub/url.h"

namespace assay {

namespace {

constexpr const char* kForms = "write ORG/REPO, ORG/REPO:QUANT, ORG/REPO/FILE or a URL";

bool is_alnum(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

// The hub's own rule for names: letters, digits, "-._", no ".." and "--", nothing special at the ends.
bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 96 || !is_alnum(text.front())) return false;
  if (text.find("--") != std::string_view::npos || text.find("..") != std::string_view::npos) return false;
  if (text.back() == '-' || text.back() == '.') return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '-' || c == '.' || c == '_'; });
}

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(by);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string join(const std::vector<std::string_view>& parts, std::size_t from) {
  std::string out;
  for (std::size_t i = from; i < parts.size(); ++i) out.append(out.empty() ? "" : "/").append(parts[i]);
  return out;
}

Error bad_source(std::string_view text, std::string detail) {
  return Error{Code::usage, std::string(text.substr(0, 200)), std::move(detail) + "; " + kForms};
}

// /ORG/REPO, /ORG/REPO/tree/REV, /ORG/REPO/resolve/REV/FILE and what /blob/ and /raw/ make of it; nothing for other
// paths.
std::optional<HubSource> source_of_path(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  const std::vector<std::string_view> parts = split(path, '/');
  if (parts.size() < 2 || !is_name(parts[0]) || !is_name(parts[1]) || parts[0] == "api") return std::nullopt;
  HubSource source{.repository = std::string(parts[0]) + "/" + std::string(parts[1])};
  if (parts.size() == 2) return source;
  if (parts.size() < 4) return std::nullopt;
  source.revision = parts[3];
  if (parts[2] == "tree" && parts.size() == 4) return source;
  const bool names_file = parts[2] == "resolve" || parts[2] == "blob" || parts[2] == "raw";
  if (!names_file || parts.size() < 5) return std::nullopt;
  source.kind = SourceKind::file;
  source.file = join(parts, 4);
  return source;
}

Result<HubSource> source_of_url(std::string_view text, std::string_view endpoint) {
  ASSAY_TRY(const Url url, parse_url(text));
  const Result<Url> hub = parse_url(endpoint);
  if (hub && url.origin() == hub->origin() && url.path().starts_with(hub->path() == "/" ? "/" : hub->path() + "/")) {
    const std::string path = url.path().substr(hub->path() == "/" ? 0 : hub->path().size());
    if (auto source = source_of_path(path)) return *source;
  }
  return HubSource{.kind = SourceKind::url, .url = std::string(text)};
}

// The length of one bracket expression at the start of `pattern`, 0 when it does not end.
std::size_t bracket_length(std::string_view pattern) {
  std::size_t at = 1;
  if (at < pattern.size() && pattern[at] == '!') ++at;
  const std::size_t end = pattern.find(']', at + 1);
  return end == std::string_view::npos ? 0 : end + 1;
}

bool matches_bracket(std::string_view bracket, char c) {
  bracket = bracket.substr(1, bracket.size() - 2);
  const bool is_inverse = bracket.starts_with('!');
  if (is_inverse) bracket.remove_prefix(1);
  bool is_in = false;
  for (std::size_t i = 0; i < bracket.size(); ++i) {
    if (i + 2 < bracket.size() && bracket[i + 1] == '-') {
      is_in |= bracket[i] <= c && c <= bracket[i + 2];
      i += 2;
    } else {
      is_in |= bracket[i] == c;
    }
  }
  return is_in != is_inverse;
}

// How much of the pattern its first element takes, and whether that matches `c`.
std::pair<std::size_t, bool> match_one(std::string_view pattern, char c) {
  if (pattern.front() == '?') return {1, true};
  const std::size_t length = pattern.front() == '[' ? bracket_length(pattern) : 0;
  if (length > 0) return {length, matches_bracket(pattern.substr(0, length), c)};
  return {1, pattern.front() == c};
}

}  // namespace

std::string HubSource::text() const {
  if (kind == SourceKind::url) return url;
  std::string out = repository;
  if (!revision.empty()) out += "@" + revision;
  if (!file.empty()) return out + "/" + file;
  return quant.empty() ? out : out + ":" + quant;
}

bool is_repository_name(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos && !is_name(text.substr(colon + 1))) return false;
  const std::vector<std::string_view> parts = split(text.substr(0, colon), '/');
  return parts.size() == 2 && is_name(parts[0]) && is_name(parts[1]);
}

Result<HubSource> parse_source(std::string_view text, std::string_view endpoint) {
  if (text.starts_with("https://") || text.starts_with("http://")) return source_of_url(text, endpoint);
  std::string_view rest = text;
  const bool is_forced = rest.starts_with("hf:");
  if (is_forced) rest.remove_prefix(rest.starts_with("hf://") ? 5 : 3);
  std::vector<std::string_view> parts = split(rest, '/');
  HubSource source;
  // "@REV" and ":QUANT" belong to the repository's last component.
  const std::size_t last = parts.size() > 1 ? 1 : 0;
  std::string_view& name = parts[last];
  if (const std::size_t colon = name.find(':'); colon != std::string_view::npos) {
    source.quant = name.substr(colon + 1);
    name = name.substr(0, colon);
    if (source.quant.empty()) return bad_source(text, "names no quantisation after the colon");
  }
  if (const std::size_t at = name.find('@'); at != std::string_view::npos) {
    source.revision = name.substr(at + 1);
    name = name.substr(0, at);
    if (source.revision.empty()) return bad_source(text, "names no revision after the @");
  }
  if (parts.size() == 1 && !is_forced) return bad_source(text, "is no repository");
  if (!is_name(parts[0]) || !is_name(name))
    return bad_source(text, "is no repository: names have letters, digits, '-', '_' and '.'");
  source.repository = parts.size() == 1 ? std::string(name) : std::string(parts[0]) + "/" + std::string(name);
  if (parts.size() > 2) {
    if (!source.quant.empty()) return bad_source(text, "names a quantisation and a file");
    source.kind = SourceKind::file;
    source.file = join(parts, 2);
    if (source.file.empty() || source.file.ends_with('/')) return bad_source(text, "ends in a slash");
  }
  return source;
}

// Backtracks to the last star only: no pattern takes longer than pattern times text.
bool matches_glob(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
      continue;
    }
    const auto [length, does_match] =
        p < pattern.size() ? match_one(pattern.substr(p), text[t]) : std::pair<std::size_t, bool>{0, false};
    if (does_match) {
      p += length;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace assay
