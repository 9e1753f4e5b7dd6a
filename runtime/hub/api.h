// What a hub says about a repository: its commit, and the files of it with their sizes and hashes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/hub/context.h"

namespace assay {

struct HubFile {
  std::string path;  // in the repository
  std::uint64_t size = 0;
  std::string etag;  // SHA-256 for large files, git's SHA-1 for small ones
  bool operator==(const HubFile&) const = default;
};

struct HubListing {
  std::string repository;  // as the hub writes it now: it may have been renamed
  std::string commit;
  std::vector<HubFile> files;  // in the hub's order
};

// Asks for the revision's commit, then for the files of that commit, page by page. Transient failures are tried again.
// Errors: denied, not_found, network, malformed, interrupted.
Result<HubListing> list_repository(HubContext& context, EventTeller& events, const std::string& repository,
                                   const std::string& revision);

// The address of a file's bytes.
std::string file_url(std::string_view endpoint, std::string_view repository, std::string_view commit,
                     std::string_view path);

// Parsers of the two answers, which do not trust them. `page` is added to `files`.
Result<HubListing> parse_revision(std::string_view text, std::string_view repository);
Result<> parse_tree_page(std::string_view text, std::vector<HubFile>& files);
// The address in a Link header with rel="next"; empty where there is none.
std::string next_link(std::string_view link_header);

// The names most like `name` among `names`, the likeliest first, at most `count`.
std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& names,
                                       std::size_t count = 3);

}  // namespace assay
