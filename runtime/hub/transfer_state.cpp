// Claims, failures and addresses of one transfer.
#include "runtime/hub/transfer_state.h"

#include <algorithm>

namespace assay {

namespace {

constexpr std::uint64_t kSmallestPiece = 4 << 20;
constexpr std::uint64_t kFirstPiece = 8 << 20;
constexpr std::uint64_t kLargestPiece = 256 << 20;
constexpr std::uint64_t kProgress = 64 << 10;  // less between two failures is none
constexpr std::uint64_t kHashLag = 32 << 20;

}  // namespace

std::uint64_t piece_bytes(double bytes_per_second, double answer_s, std::uint64_t left, int connections) {
  std::uint64_t piece = kFirstPiece;
  if (bytes_per_second > 0) {
    const double seconds = std::max(20 * answer_s, 0.02);
    piece = static_cast<std::uint64_t>(std::min(bytes_per_second * seconds, static_cast<double>(kLargestPiece)));
  }
  // Towards the end smaller ones, so that all connections finish together.
  const auto share = left / static_cast<std::uint64_t>(std::max(connections, 1));
  return std::clamp(std::min(piece, share), kSmallestPiece, kLargestPiece);
}

TransferState::TransferState(HubContext& hub, EventTeller& teller, const TransferRequest& what, PartialFile& file)
    : context(hub),
      events(teller),
      request(what),
      partial(file),
      taken_(file.have()),
      there_(file.have()),
      retry_(hub.options.retry) {
  if (!what.is_pinned) validator_ = what.etag;
  if (!is_identified()) has_ranges_.store(false);
}

bool TransferState::is_over_locked() const {
  return fatal_ || context.stop.load(std::memory_order_relaxed) || there_.bytes() == request.size;
}

// Behind in what it could take in, and not because bytes of an earlier try are still to be hashed.
bool TransferState::is_hash_behind() const {
  if (!request.digest) return false;
  const std::uint64_t hashed = hashed_.load(std::memory_order_relaxed);
  return there_.prefix() > hashed + kHashLag && received() > hashed + kHashLag;
}

std::optional<Range> TransferState::next_gap() const {
  if (has_ranges()) return taken_.first_gap(0, request.size);
  // Without ranges one connection reads the whole file and keeps what is missing.
  return claims_ == 0 ? std::optional<Range>({0, request.size}) : std::nullopt;
}

std::optional<Range> TransferState::claim(int number, double bytes_per_second, double answer_s) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (is_over_locked() || number >= wanted()) return std::nullopt;
    if (auto gap = number > 0 && is_hash_behind() ? std::nullopt : next_gap()) {
      if (has_ranges()) {
        const std::uint64_t left = request.size - there_.bytes();
        gap->end = std::min(gap->end, gap->begin + piece_bytes(bytes_per_second, answer_s, left, wanted()));
        taken_.add(*gap);
      }
      ++claims_;
      return gap;
    }
    claims_changed_.wait_for(lock, std::chrono::milliseconds(20));
  }
}

void TransferState::release(Range range) {
  {
    const std::lock_guard lock(mutex_);
    --claims_;
    taken_.remove(range);
    for (const Range there : there_.list()) taken_.add(there);
  }
  claims_changed_.notify_all();
}

void TransferState::wrote(Range range) {
  partial.note(range);
  received_.fetch_add(range.size(), std::memory_order_relaxed);
  bool is_last = false;
  {
    const std::lock_guard lock(mutex_);
    there_.add(range);
    is_last = is_over_locked();
  }
  bytes_.notify_all();
  if (is_last) notify_all();
}

std::optional<std::chrono::milliseconds> TransferState::next_wait(const Error& error,
                                                                  std::optional<std::chrono::milliseconds> asked) {
  using std::chrono::milliseconds;
  const auto now = std::chrono::steady_clock::now();
  const bool has_progress = received() >= received_at_failure_ + kProgress;
  if (has_progress) retry_.made_progress();
  // Connections that fail together count as one failure.
  if (!has_progress && now < retry_at_)
    return std::chrono::duration_cast<milliseconds>(retry_at_ - now);
  received_at_failure_ = received();
  const auto wait = retry_.next(asked);
  if (wait)
    retry_at_ = now + *wait;
  else
    fatal_ = error;
  return wait;
}

bool TransferState::failed(const Error& error, std::optional<std::chrono::milliseconds> asked, bool is_at_once) {
  std::optional<std::chrono::milliseconds> wait;
  std::uint64_t done = 0;
  {
    const std::lock_guard lock(mutex_);
    if (is_over_locked()) return false;
    wait = next_wait(error, asked);
    done = there_.bytes();
  }
  if (asked) is_pressed_.store(true, std::memory_order_relaxed);
  if (!wait) notify_all();
  if (!wait || is_at_once) return wait.has_value();
  events.tell({.step = PullStep::retrying,
               .file = request.name,
               .done = done,
               .total = request.size,
               .message = retry_text(error, *wait)});
  return sleep_for(*wait, context.stop);
}

void TransferState::give_up(Error error) {
  {
    const std::lock_guard lock(mutex_);
    if (!fatal_) fatal_ = std::move(error);
  }
  notify_all();
}

std::optional<Error> TransferState::fatal() const {
  const std::lock_guard lock(mutex_);
  return fatal_;
}

bool TransferState::is_over() const {
  const std::lock_guard lock(mutex_);
  return is_over_locked();
}

bool TransferState::is_complete() const {
  return there_bytes() == request.size;
}

std::uint64_t TransferState::there_bytes() const {
  const std::lock_guard lock(mutex_);
  return there_.bytes();
}

void TransferState::want(int connections) {
  wanted_.store(connections, std::memory_order_relaxed);
  claims_changed_.notify_all();
}

void TransferState::go_without_ranges() {
  has_ranges_.store(false, std::memory_order_relaxed);
  want(1);
}

std::optional<Url> TransferState::data_url() const {
  const std::lock_guard lock(mutex_);
  return data_url_;
}

void TransferState::found_data_url(const Url& url) {
  const std::lock_guard lock(mutex_);
  data_url_ = url;
}

void TransferState::forget_data_url(const Url& url) {
  const std::lock_guard lock(mutex_);
  if (data_url_ && data_url_->text() == url.text()) data_url_.reset();
}

std::string TransferState::validator() const {
  const std::lock_guard lock(mutex_);
  return validator_;
}

bool TransferState::check_validator(std::string_view etag) {
  const std::lock_guard lock(mutex_);
  if (etag.empty() || etag == validator_) return true;
  const bool is_first = validator_.empty();
  if (is_first || request.is_pinned) validator_ = etag;
  return is_first || request.is_pinned;
}

void TransferState::wait_for_bytes(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  if (!is_over_locked()) bytes_.wait_for(lock, time);
}

void TransferState::wait_for_end(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  if (!is_over_locked()) claims_changed_.wait_for(lock, time);
}

void TransferState::notify_all() {
  bytes_.notify_all();
  claims_changed_.notify_all();
}

}  // namespace assay
