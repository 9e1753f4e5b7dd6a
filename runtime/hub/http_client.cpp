// Redirects, proxies and whole bodies on top of single connections.
#include <algorithm>
#include <array>

#include "runtime/hub/http.h"

namespace assay {

namespace {

constexpr int kMaxRedirects = 10;
constexpr std::size_t kShortRest = 256 << 10;  // reading so much is cheaper than a new connection

bool is_redirect(unsigned status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// One entry of no_proxy against a host.
bool is_excepted(std::string_view entry, const Url& url) {
  while (entry.starts_with(' ')) entry.remove_prefix(1);
  while (entry.ends_with(' ')) entry.remove_suffix(1);
  if (entry == "*") return true;
  const bool has_port = std::count(entry.begin(), entry.end(), ':') == 1;
  if (has_port) {
    if (entry.substr(entry.find(':') + 1) != std::to_string(url.port)) return false;
    entry = entry.substr(0, entry.find(':'));
  }
  if (entry.starts_with('*')) entry.remove_prefix(1);
  if (entry.starts_with('.')) entry.remove_prefix(1);
  if (entry.empty()) return false;
  const std::string_view host = url.host;
  return host == entry || (host.ends_with(entry) && host[host.size() - entry.size() - 1] == '.');
}

}  // namespace

std::string base64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) out += i + k <= text.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

Result<std::optional<Url>> proxy_for(const Url& url, const Proxies& proxies) {
  std::string address = url.scheme == "https" ? proxies.https : proxies.http;
  if (address.empty()) return std::optional<Url>();
  std::string_view rest = proxies.none;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    if (is_excepted(rest.substr(0, end), url)) return std::optional<Url>();
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (address.find("://") == std::string::npos) address = "http://" + address;
  if (address.starts_with("socks"))
    return Error{Code::unsupported, "proxy " + address,
                 "SOCKS proxies are not supported; name an http proxy or unset the variable"};
  Result<Url> proxy = parse_url(address);
  if (!proxy) return Error{proxy.error().code, "proxy " + address, proxy.error().detail};
  return std::optional<Url>(*std::move(proxy));
}

HttpClient::HttpClient(const HttpOptions& options, const TlsTrust& trust, const std::atomic<bool>& stop)
    : options_(options), trust_(trust), stop_(stop) {}

HttpConnection& HttpClient::connection_to(const Url& url) {
  return connections_.try_emplace(url.origin(), options_, trust_, stop_).first->second;
}

Result<HttpHead> HttpClient::open(HttpRequest request, std::vector<HttpHead>* redirects) {
  const std::string first_origin = request.url.origin();
  for (int i = 0; i <= kMaxRedirects; ++i) {
    current_ = &connection_to(request.url);
    ASSAY_TRY(HttpHead head, current_->send(request));
    const std::string_view location = head.header("Location");
    if (!is_redirect(head.status) || location.empty()) return head;
    ASSAY_TRY(Url next, resolve_url(request.url, location));
    if (request.url.scheme == "https" && next.scheme == "http")
      return Error{Code::denied, request.url.authority(),
                   "redirects from https to http at " + next.authority() + ", which is not followed"};
    finish();
    if (next.origin() != first_origin)
      std::erase_if(request.headers, [](const auto& header) { return is_same_name(header.first, "Authorization"); });
    request.url = std::move(next);
    if (redirects != nullptr) redirects->push_back(std::move(head));
  }
  return Error{Code::malformed, request.url.authority(),
               "redirects more than " + std::to_string(kMaxRedirects) + " times; the address leads in a circle"};
}

Result<std::size_t> HttpClient::read(std::span<std::byte> into) {
  if (current_ == nullptr) return std::size_t{0};
  return current_->read(into);
}

Result<std::string> HttpClient::read_all(std::size_t limit) {
  std::string text;
  std::array<std::byte, 16 << 10> piece;
  for (;;) {
    ASSAY_TRY(const std::size_t count, read(piece));
    if (count == 0) return text;
    if (text.size() + count > limit) {
      current_->close();
      return Error{Code::malformed, "", "the answer is longer than " + std::to_string(limit) + " bytes"};
    }
    text.append(reinterpret_cast<const char*>(piece.data()), count);
  }
}

void HttpClient::finish() {
  if (current_ == nullptr) return;
  std::array<std::byte, 16 << 10> piece;
  for (std::size_t total = 0; total < kShortRest && !current_->is_reusable();) {
    const Result<std::size_t> count = current_->read(piece);
    if (!count || *count == 0) break;
    total += *count;
  }
  if (!current_->is_reusable()) current_->close();
}

void HttpClient::close() {
  if (current_ != nullptr) current_->close();
}

}  // namespace assay
