// Parsing and resolving of URLs.
#include "runtime/hub/url.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <vector>

namespace assay {

namespace {

bool is_alnum(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_encoded(std::string& out, char c) {
  constexpr char kHex[] = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  out += {'%', kHex[byte >> 4], kHex[byte & 15]};
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  return out;
}

// Path and query with every byte that may not stand there encoded; what is encoded already stays.
std::string clean_target(std::string_view text) {
  constexpr std::string_view kAllowed = "-._~!$&'()*+,;=:@/?";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool is_escape =
        c == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    if (is_alnum(c) || is_escape || kAllowed.find(c) != std::string_view::npos)
      out += c;
    else
      append_encoded(out, c);
  }
  return out.empty() || out.front() != '/' ? "/" + out : out;
}

// RFC 3986, 5.2.4: "." and ".." components go.
std::string without_dots(std::string_view target) {
  const std::size_t query = std::min(target.find('?'), target.size());
  std::vector<std::string_view> parts;
  std::string_view path = target.substr(0, query);
  bool ends_in_folder = false;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    ends_in_folder = part == "." || part == "..";
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (part != ".") {
      parts.push_back(part);
    }
    path.remove_prefix(end);
  }
  std::string out;
  for (const std::string_view part : parts) out.append("/").append(part);
  if (ends_in_folder || out.empty()) out += "/";
  return out + std::string(target.substr(query));
}

Error bad_url(std::string_view text, std::string detail) {
  return Error{Code::malformed, std::string(text.substr(0, 200)), std::move(detail)};
}

// "host:port", "[::1]:port" into `url`.
Result<> parse_authority(std::string_view text, std::string_view authority, Url& url) {
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    url.user_info = percent_decode(authority.substr(0, at));
    authority.remove_prefix(at + 1);
  }
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return bad_url(text, "has an address in brackets that does not end");
    url.host = lower(authority.substr(1, end - 1));
    port = authority.substr(end + 1);
  } else {
    const std::size_t colon = std::min(authority.find(':'), authority.size());
    url.host = lower(authority.substr(0, colon));
    port = authority.substr(colon);
  }
  const bool has_bad_byte = std::any_of(url.host.begin(), url.host.end(), [](char c) {
    return !is_alnum(c) && std::string_view("-._:%").find(c) == std::string_view::npos;
  });
  if (url.host.empty() || has_bad_byte) return bad_url(text, "has no usable host name");
  url.port = url.scheme == "https" ? 443 : 80;
  if (port.empty() || port == ":") return success();
  unsigned number = 0;
  const auto [end, problem] = std::from_chars(port.data() + 1, port.data() + port.size(), number);
  if (port.front() != ':' || problem != std::errc() || end != port.data() + port.size() || number == 0 ||
      number > 65535)
    return bad_url(text, "has a port that is no number from 1 to 65535");
  url.port = static_cast<std::uint16_t>(number);
  return success();
}

}  // namespace

std::string Url::authority() const {
  std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
  const bool is_default = port == (scheme == "https" ? 443 : 80);
  return is_default ? out : out + ":" + std::to_string(port);
}

std::string Url::text() const {
  return scheme + "://" + authority() + target;
}

std::string Url::path() const {
  std::string out = percent_decode(std::string_view(target).substr(0, std::min(target.find('?'), target.size())));
  while (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

std::string Url::file_name() const {
  // Split before decoding: an encoded slash is part of a name, and a name with a slash is refused where files are made.
  std::string_view raw = std::string_view(target).substr(0, std::min(target.find('?'), target.size()));
  return percent_decode(raw.substr(raw.rfind('/') + 1));
}

Result<Url> parse_url(std::string_view text) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) return bad_url(text, "is no URL; it must begin with https:// or http://");
  Url url;
  url.scheme = lower(text.substr(0, colon));
  if (url.scheme != "http" && url.scheme != "https")
    return Error{Code::unsupported, std::string(text.substr(0, 200)), "only http and https URLs can be fetched"};
  std::string_view rest = text.substr(colon + 3);
  rest = rest.substr(0, std::min(rest.find('#'), rest.size()));
  const std::size_t path = std::min(rest.find_first_of("/?"), rest.size());
  ASSAY_TRY_VOID(parse_authority(text, rest.substr(0, path), url));
  url.target = without_dots(clean_target(rest.substr(path)));
  return url;
}

Result<Url> resolve_url(const Url& base, std::string_view reference) {
  const std::size_t colon = reference.find(':');
  const std::size_t slash = reference.find_first_of("/?#");
  if (colon != std::string_view::npos && colon < slash) return parse_url(reference);
  if (reference.starts_with("//")) return parse_url(base.scheme + ":" + std::string(reference));
  Url url = base;
  reference = reference.substr(0, std::min(reference.find('#'), reference.size()));
  const std::string_view path =
      std::string_view(base.target).substr(0, std::min(base.target.find('?'), base.target.size()));
  if (reference.starts_with('/'))
    url.target = clean_target(reference);
  else if (reference.starts_with('?'))
    url.target = clean_target(std::string(path) + std::string(reference));
  else if (!reference.empty())
    url.target = clean_target(std::string(path.substr(0, path.rfind('/') + 1)) + std::string(reference));
  url.target = without_dots(url.target);
  return url;
}

std::string percent_encode(std::string_view text, bool keeps_slashes) {
  std::string out;
  for (const char c : text) {
    if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~' || (keeps_slashes && c == '/'))
      out += c;
    else
      append_encoded(out, c);
  }
  return out;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) {
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace assay
