// Command line and environment of the hub's client.
#include "bench/apps/assay/hub_options.h"

#include <charconv>
#include <cstdlib>

#include "runtime/core/build_info.h"
#include "runtime/hub/digest.h"

namespace assay {

namespace {

// "10M", "1.5G", "800k" bytes a second, in powers of 1000.
Result<std::uint64_t> parse_rate(const std::string& text) {
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string unit(end, text.data() + text.size());
  const double factor = unit.empty() ? 1 : unit == "k" || unit == "K" ? 1e3 : unit == "M" ? 1e6 : unit == "G" ? 1e9 : 0;
  if (problem != std::errc() || factor == 0 || !(value * factor >= 1) || value * factor > 1e15)
    return Error{Code::usage, "--limit-rate", "must be bytes a second, such as 500k, 10M or 1.5G, not '" + text + "'"};
  return static_cast<std::uint64_t>(value * factor);
}

}  // namespace

void add_hub_options(Command command, HubArguments& arguments) {
  command.add_option("--cache-dir", arguments.cache_dir,
                     "The hub's cache; default $HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub");
  command.add_option("--local-dir", arguments.local_dir,
                     "Put the files here under their own names instead of into the cache");
  command.add_option("--token", arguments.token, "Access token; default $HF_TOKEN, else the hub's token file");
  command.add_option("--jobs", arguments.jobs, "Files at a time").between(1, 64).shows_default();
  command.add_option("--connections", arguments.connections, "Connections for one large file, at most")
      .between(1, 64)
      .shows_default();
  command.add_option("--limit-rate", arguments.limit_rate, "Bytes a second for everything together: 500k, 10M, 1.5G");
  command.add_option("--retries", arguments.retries, "Failures in a row, without 64 kB in between, before giving up")
      .between(0, 1000)
      .shows_default();
  command
      .add_option("--retry-delay", arguments.retry_delay,
                  "Seconds before the first retry; doubled each time, to 30 at most")
      .between(0.0, 3600.0)
      .shows_default();
  command.add_option("--sha256", arguments.sha256, "What a URL's file must hash to");
  command.add_flag("--offline", arguments.offline, "Use the cache alone (also $HF_HUB_OFFLINE=1)");
  command.add_flag("--force-download", arguments.force_download, "Fetch even what is here already");
}

Result<HubOptions> hub_options_of(const HubArguments& arguments) {
  ASSAY_TRY(HubOptions options, hub_options([](const char* name) -> std::optional<std::string> {
              const char* value = std::getenv(name);
              return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
            }));
  if (!arguments.cache_dir.empty()) options.cache_folder = arguments.cache_dir;
  options.local_folder = arguments.local_dir;
  if (!arguments.token.empty()) options.token = arguments.token;
  options.jobs = arguments.jobs;
  options.connections = arguments.connections;
  options.retry.tries = arguments.retries;
  options.retry.first_wait = std::chrono::milliseconds(static_cast<std::int64_t>(arguments.retry_delay * 1000));
  options.is_offline = options.is_offline || arguments.offline;
  options.downloads_again = arguments.force_download;
  options.http.user_agent = "assay/" + std::string(build_info().version);
  if (!arguments.limit_rate.empty()) {
    ASSAY_TRY(options.bytes_per_second, parse_rate(arguments.limit_rate));
  }
  if (!arguments.sha256.empty()) {
    const auto digest = digest_of_etag(arguments.sha256);
    if (!digest || digest->kind != DigestKind::sha256) return Error{Code::usage, "--sha256", "needs 64 hex digits"};
    options.sha256 = digest->hex;
  }
  return options;
}

}  // namespace assay
