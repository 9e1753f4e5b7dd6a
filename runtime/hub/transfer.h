// Transfer: one file of known size over several connections at a time into its partial file, hashed on the way.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "runtime/hub/context.h"
#include "runtime/hub/digest.h"
#include "runtime/hub/partial.h"

namespace assay {

struct TransferRequest {
  std::string name;  // for messages and events
  Url url;
  HttpHeaders headers{};  // Authorization, for the URL's own origin
  std::uint64_t size = 0;
  std::string etag{};              // the hub's, or the server's own for a plain URL
  std::optional<Digest> digest{};  // nothing: only the length and the server's etag vouch for the bytes
  bool is_pinned = false;          // the bytes are known by their hash: a server's other etag does not matter
};

struct TransferTimes {
  double transfer_s = 0;  // bytes moved and hashed
  double sync_s = 0;      // waiting for the disk before the file got its name
};

// Fills `partial` and checks it. Errors: mismatch (subject "changed": the server has another file now; subject "hash":
// the bytes are not what they should be), network (given up after retries), denied, not_found, space, io, unsupported,
// interrupted.
Result<TransferTimes> transfer(HubContext& context, EventTeller& events, const TransferRequest& request,
                               PartialFile& partial);

// The next answer's "Content-Range: bytes BEGIN-END/TOTAL"; `total` nothing for "*". Nothing when it is no such thing.
struct ContentRange {
  Range range;
  std::optional<std::uint64_t> total;
};
std::optional<ContentRange> parse_content_range(std::string_view text);

// How many bytes one request should ask for, so that waiting for its answer costs a twentieth of its time at most.
std::uint64_t piece_bytes(double bytes_per_second, double answer_s, std::uint64_t left, int connections);

}  // namespace assay
