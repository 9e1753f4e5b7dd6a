// HubOptions: where the hub is, where its cache is, how to reach it; read from the environment that other hub clients
// know.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "runtime/core/function_ref.h"
#include "runtime/hub/http.h"

namespace assay {

struct RetryPolicy {
  int tries = 5;  // failures in a row without 64 kB in between, after which it is given up
  std::chrono::milliseconds first_wait{1'000};
  std::chrono::milliseconds longest_wait{30'000};
  std::chrono::milliseconds longest_asked{300'000};  // a server that asks for more is not waited for
};

struct HubOptions {
  std::string endpoint = "https://huggingface.co";
  std::filesystem::path cache_folder;  // the hub cache: models--ORG--REPO/...
  std::filesystem::path files_folder;  // where plain URLs go: HOST/PATH
  std::filesystem::path local_folder;  // when set: files go there under their own names, not into the cache
  std::string token;                   // sent to the endpoint only
  bool is_offline = false;
  bool uses_symlinks = true;
  bool shows_progress = true;
  bool downloads_again = false;        // even what is here already
  std::string sha256;                  // what a single file must hash to
  int jobs = 4;                        // files at a time
  int connections = 8;                 // for one file, at most
  std::uint64_t bytes_per_second = 0;  // 0: no limit
  HttpOptions http;
  RetryPolicy retry;
};

// The value of an environment variable, nothing when it is not set.
using Environment = FunctionRef<std::optional<std::string>(const char* name)>;

// HF_ENDPOINT, HF_HUB_CACHE (HUGGINGFACE_HUB_CACHE), HF_HOME, XDG_CACHE_HOME, HOME, HF_TOKEN (HUGGING_FACE_HUB_TOKEN),
// HF_TOKEN_PATH, HF_HUB_DISABLE_IMPLICIT_TOKEN, HF_HUB_OFFLINE (TRANSFORMERS_OFFLINE), HF_HUB_ETAG_TIMEOUT,
// HF_HUB_DOWNLOAD_TIMEOUT, HF_HUB_DISABLE_SYMLINKS, HF_HUB_DISABLE_PROGRESS_BARS, http_proxy, https_proxy, all_proxy,
// no_proxy in both cases. Errors: usage for values that cannot be read.
Result<HubOptions> hub_options(Environment environment);

}  // namespace assay
