// Requests for pieces of a file and everything that can be wrong with the answers.
#include "runtime/hub/fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace assay {

namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

// Written together, up to so much: of small writes the system keeps a file in small pages, which costs whoever maps it
// up to a tenth of the speed; half a megabyte at a time is as good as huge pages for that.
constexpr std::size_t kBuffer = 512 << 10;
// Between two notes in the journal: what a killed process may lose of each connection.
constexpr std::uint64_t kNote = 1 << 20;
constexpr double kNoteSeconds = 0.25;
constexpr int kOddLimit = 6;

double seconds_since(steady_clock::time_point start) {
  return duration<double>(steady_clock::now() - start).count();
}

bool is_strong(std::string_view etag) {
  return !etag.empty() && !etag.starts_with("W/");
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::string unquoted(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

}  // namespace

std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  const std::size_t dash = text.find('-'), slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) return std::nullopt;
  const auto begin = number(text.substr(0, dash)), last = number(text.substr(dash + 1, slash - dash - 1));
  const auto total = number(text.substr(slash + 1));
  if (!begin || !last || *begin > *last || *last == ~std::uint64_t{0}) return std::nullopt;
  if (!total && text.substr(slash + 1) != "*") return std::nullopt;
  return ContentRange{{*begin, *last + 1}, total};
}

Fetcher::Fetcher(TransferState& state, int number)
    : state_(state),
      number_(number),
      client_(state.context.options.http, state.context.trust, state.context.stop),
      buffer_(kBuffer) {}

void Fetcher::run() {
  while (const auto claim = state_.claim(number_, bytes_per_second_, answer_s_)) {
    const Outcome outcome = fetch(*claim);
    state_.release(*claim);
    if (!outcome.error) continue;
    client_.close();
    if (outcome.error->code == Code::interrupted) return state_.notify_all();
    if (outcome.is_final || outcome.error->code != Code::network) return state_.give_up(*outcome.error);
    // Nothing says whether it would still be the same file: no half of one is joined with half of another.
    if (!state_.is_identified())
      return state_.give_up(
          {Code::mismatch, "changed", outcome.error->message() + "; the server tells neither etag nor date"});
    if (!state_.failed(*outcome.error, outcome.asked, outcome.is_at_once)) return;
  }
}

HttpRequest Fetcher::request_for(Range claim) {
  const TransferRequest& request = state_.request;
  remembered_ = state_.data_url();
  HttpRequest out{.method = "GET", .url = remembered_ ? *remembered_ : request.url, .headers = {}};
  if (out.url.origin() == request.url.origin()) out.headers = request.headers;
  const bool is_whole = claim.begin == 0 && claim.end == request.size;
  if (state_.has_ranges() && !is_whole) {
    out.headers.emplace_back("Range", fmt::format("bytes={}-{}", claim.begin, claim.end - 1));
    if (const std::string validator = state_.validator(); is_strong(validator))
      out.headers.emplace_back("If-Range", validator);
  }
  if (wants_plain_) out.headers.emplace_back("Cache-Control", "no-transform");
  return out;
}

Fetcher::Outcome Fetcher::fetch(Range claim) {
  const HttpRequest request = request_for(claim);
  const bool has_range = !header_of(request.headers, "Range").empty();
  const auto start = steady_clock::now();
  std::vector<HttpHead> redirects;
  Result<HttpHead> head = client_.open(request, &redirects);
  if (!head) return {.error = named(std::move(head).error())};
  answer_s_ = seconds_since(start);
  if (Outcome outcome = check_head(*head, redirects, has_range); outcome.error) return outcome;
  if (!redirects.empty()) state_.found_data_url(head->url);
  if (head->status == 206) {
    if (Outcome outcome = check_partial(*head, claim); outcome.error) return outcome;
  }
  return read_body(claim, head->length.has_value());
}

Error Fetcher::named(Error error) const {
  if (error.code == Code::network && error.subject.empty()) error.subject = state_.request.name;
  return error;
}

// Other connections may have met the same refusal, and may have a new address already: that one stays.
bool Fetcher::forget_remembered() {
  if (!remembered_) return false;
  state_.forget_data_url(*remembered_);
  return true;
}

Fetcher::Outcome Fetcher::changed(std::string what) {
  const bool is_stale_address = forget_remembered();
  Error error{is_stale_address ? Code::network : Code::mismatch, "changed", std::move(what)};
  return {.error = std::move(error), .is_at_once = is_stale_address, .is_final = !is_stale_address};
}

// Something a server should not do. Tried again, at last without ranges, and then given up.
Fetcher::Outcome Fetcher::odd(std::string what, bool ends_ranges) {
  const int count = state_.count_odd();
  if (ends_ranges && count >= 2) state_.go_without_ranges();
  return {.error = Error{count >= kOddLimit ? Code::malformed : Code::network, state_.request.name, std::move(what)},
          .is_at_once = true,
          .is_final = count >= kOddLimit};
}

Fetcher::Outcome Fetcher::refused(const HttpHead& head) {
  const Result<std::string> body = client_.read_all(4096);
  // The address that a redirect gave may have been signed for a while only: ask for a new one.
  if (head.status / 100 == 4 && head.status != 408 && head.status != 429 && head.status != 416 && forget_remembered())
    return {.error = Error{Code::network, head.url.authority(),
                           fmt::format("answers {}: the address has run out", head.status)},
            .is_at_once = true};
  if (head.status == 416) return changed("the server's file ends before the bytes that were asked for");
  return {.error = status_error(head, state_.request.name, body ? *body : ""), .asked = asked_wait(head)};
}

Fetcher::Outcome Fetcher::check_head(const HttpHead& head, const std::vector<HttpHead>& redirects, bool has_range) {
  if (head.status != 200 && head.status != 206) return refused(head);
  const HttpHead& first = redirects.empty() ? head : redirects.front();
  const std::string linked = unquoted(first.header("X-Linked-Etag"));
  if (!linked.empty() && state_.request.is_pinned && linked != state_.request.etag)
    return changed(fmt::format("the hub's file is {} now, and {} was expected", linked, state_.request.etag));
  const std::string_view encoding = head.header("Content-Encoding");
  if (!encoding.empty() && encoding != "identity") {
    wants_plain_ = true;
    return odd(fmt::format("the answer is compressed ({}) although it was asked for as it is", encoding), false);
  }
  const std::string etag(head.header("ETag"));
  if (!state_.check_validator(etag)) return changed(fmt::format("the server's file has the etag {} now", etag));
  if (head.status == 206) return {};
  return check_whole(head, has_range);
}

Fetcher::Outcome Fetcher::check_whole(const HttpHead& head, bool has_range) {
  if (head.length && *head.length != state_.request.size)
    return changed(
        fmt::format("the server's file has {} bytes, and {} were expected", *head.length, state_.request.size));
  if (!has_range) return {};
  // All of it, though a part was asked for: this server knows no ranges (or has just got another etag, which counts as
  // odd once).
  if (state_.count_odd() > 1 || header_of(head.headers, "Accept-Ranges") == "none") state_.go_without_ranges();
  return {.error = Error{Code::network, state_.request.name, "the server sends the whole file and no part of it"},
          .is_at_once = true};
}

Fetcher::Outcome Fetcher::check_partial(const HttpHead& head, Range& claim) {
  const auto range = parse_content_range(head.header("Content-Range"));
  if (!range)
    return odd(fmt::format("answers with a part that says not which ('{}')", head.header("Content-Range")), true);
  if (range->total && *range->total != state_.request.size)
    return changed(
        fmt::format("the server's file has {} bytes, and {} were expected", *range->total, state_.request.size));
  if (range->range.begin != claim.begin || range->range.end > claim.end)
    return odd(fmt::format("answers with the bytes from {} on, and those from {} on were asked for", range->range.begin,
                           claim.begin),
               true);
  if (head.length && *head.length != range->range.size())
    return odd(fmt::format("announces {} bytes and sends {}", range->range.size(), *head.length), true);
  claim.end = range->range.end;
  return {};
}

Result<> Fetcher::write_missing(const RangeSet& there, std::uint64_t at, Bytes bytes) {
  const std::uint64_t end = at + bytes.size();
  for (auto gap = there.first_gap(at, end); gap; gap = there.first_gap(gap->end, end))
    ASSAY_TRY_VOID(state_.partial.write(
        gap->begin, bytes.subspan(static_cast<std::size_t>(gap->begin - at), static_cast<std::size_t>(gap->size()))));
  return success();
}

Fetcher::Outcome Fetcher::read_body(Range range, bool has_length) {
  const auto start = steady_clock::now();
  // Bytes that are there stay as they are: they have been hashed already.
  const RangeSet there = state_.partial.have();
  std::uint64_t at = range.begin, noted = range.begin;
  std::size_t held = 0;  // bytes that are read and not yet written
  auto noted_at = start;
  Outcome outcome;
  while (at < range.end && !outcome.error) {
    const std::span<std::byte> rest = std::span(buffer_).subspan(held);
    const std::size_t room =
        static_cast<std::size_t>(std::min<std::uint64_t>(state_.context.limit.piece(rest.size()), range.end - at - held));
    const Result<std::size_t> count = client_.read(rest.first(room));
    if (!count) {
      outcome.error = named(count.error());
    } else if (*count == 0) {
      outcome.error = Error{Code::network, state_.request.name,
                            fmt::format("the body ended {} bytes early", range.end - at - held)};
    } else {
      held += *count;
      state_.context.limit.take(*count, state_.context.stop);
    }
    const bool is_last = at + held == range.end || outcome.error;
    const bool is_time = at + held - noted >= kNote || seconds_since(noted_at) >= kNoteSeconds;
    if (!is_last && !is_time && held < buffer_.size()) continue;
    const Result<> written = write_missing(there, at, std::span(buffer_).first(held));
    if (!written) return {.error = written.error(), .is_final = true};
    at += held;
    held = 0;
    if (is_last || is_time) {
      state_.wrote({noted, at});
      noted = at;
      noted_at = steady_clock::now();
    }
  }
  const double seconds = seconds_since(start);
  if (seconds > 0) bytes_per_second_ = static_cast<double>(at - range.begin) / seconds;
  if (outcome.error) return outcome;
  // A body that tells no length may be longer than the file should be.
  if (const auto more = has_length ? Result<std::size_t>(0) : client_.read(std::span(buffer_).first(1));
      more && *more > 0)
    return changed(fmt::format("the server's file is longer than {} bytes", state_.request.size));
  client_.finish();
  return outcome;
}

}  // namespace assay
