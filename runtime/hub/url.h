// Url: http and https addresses taken apart, put together, and resolved against each other (RFC 3986, sections 3 and
// 5).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/core/error.h"

namespace assay {

struct Url {
  std::string scheme;     // "http" or "https"
  std::string user_info;  // "name:password", decoded; empty where there is none
  std::string host;       // lower case; an IPv6 address without its brackets
  std::uint16_t port = 0;
  std::string target;  // path and query as they are sent: "/a%20b?c=d"; the fragment is dropped

  // "host", or "host:port" where the port is not the scheme's own; IPv6 in brackets.
  std::string authority() const;
  // Without the user and the password.
  std::string text() const;
  std::string origin() const { return scheme + "://" + authority(); }
  // The path's components, decoded; a last empty one is left out.
  std::string path() const;
  // The last component of the path, decoded; empty for "/".
  std::string file_name() const;
};

// Bytes that may not stand in a URL (spaces, "|", letters beyond ASCII) are encoded rather than refused. Errors:
// malformed, unsupported (another scheme).
Result<Url> parse_url(std::string_view text);

// What `reference` (a Location header) means in a document at `base`.
Result<Url> resolve_url(const Url& base, std::string_view reference);

// Everything but letters, digits, "-._~" and, in paths, "/" as %XX.
std::string percent_encode(std::string_view text, bool keeps_slashes = true);
std::string percent_decode(std::string_view text);

}  // namespace assay
