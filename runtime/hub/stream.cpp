// Files whose length a server does not tell: one connection from the beginning to the end that the protocol marks.
#include <fmt/format.h>
#include <unistd.h>

#include "runtime/formats/output_file.h"
#include "runtime/hub/digest.h"
#include "runtime/hub/hub_state.h"

namespace assay {

namespace {

constexpr std::size_t kPiece = 256 << 10;

Result<std::uint64_t> stream_once(HubContext& context, EventTeller& events, const PlannedFile& file,
                                  const Place& place) {
  HttpClient client(context.options.http, context.trust, context.stop);
  ASSAY_TRY(const Url url, parse_url(file.url));
  ASSAY_TRY(const HttpHead head, client.open({.url = url}));
  if (head.status != 200) return status_error(head, file.name);
  if (const std::string_view encoding = head.header("Content-Encoding"); !encoding.empty() && encoding != "identity")
    return Error{Code::unsupported, file.name,
                 fmt::format("the server sends it compressed ({}) although it was asked for as it is", encoding)};
  // Without a length, only chunks tell a whole body from one that was cut off.
  if (!head.length && header_of(head.headers, "Transfer-Encoding").empty() && context.options.sha256.empty())
    return Error{
        Code::unsupported, file.name,
        "the server does not say how long it is, so that nobody could tell whether it arrived whole; give --sha256"};
  ASSAY_TRY(OutputFile out, OutputFile::create(place.target));
  Hasher hasher(DigestKind::sha256, 0);
  std::vector<std::byte> buffer(kPiece);
  for (;;) {
    ASSAY_TRY(const std::size_t count, client.read(buffer));
    if (count == 0) break;
    if (!context.options.sha256.empty()) hasher.update(std::span(buffer).first(count));
    ASSAY_TRY_VOID(out.write(std::span(buffer).first(count)));
    context.limit.take(count, context.stop);
    events.tell({.step = PullStep::progress, .file = file.name, .done = out.written()});
    if (context.stop.load(std::memory_order_relaxed)) return Error{Code::interrupted, "", "stopped"};
  }
  if (const std::string hash = hasher.finish(); !context.options.sha256.empty() && hash != context.options.sha256)
    return Error{
        Code::mismatch, "hash",
        fmt::format("{} arrived with the SHA-256 {}, and it must be {}", file.name, hash, context.options.sha256)};
  ASSAY_TRY_VOID(out.commit());
  return out.written();
}

}  // namespace

Result<std::uint64_t> stream_file(HubContext& context, EventTeller& events, const PlannedFile& file,
                                  const Place& place) {
  Retry retry(context.options.retry);
  std::error_code ignored;
  std::filesystem::create_directories(place.target.parent_path(), ignored);
  for (;;) {
    events.tell({.step = PullStep::started, .file = file.name});
    Result<std::uint64_t> size = stream_once(context, events, file, place);
    if (size || size.error().code != Code::network) return size;
    const auto wait = retry.next();
    if (!wait) return size;
    events.tell({.step = PullStep::retrying,
                 .file = file.name,
                 .message = retry_text(size.error(), *wait) + " (from the beginning: the server tells no length)"});
    if (!sleep_for(*wait, context.stop)) return Error{Code::interrupted, "", "stopped"};
  }
}

}  // namespace assay
