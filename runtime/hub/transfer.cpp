// The coordinator of a transfer: starts connections, hashes behind them, brings bytes to the disk now and then.
#include "runtime/hub/transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/hub/fetch.h"

namespace assay {

namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kSeveral = 16 << 20;  // files below this size come over one connection
constexpr int kFirstConnections = 4;
constexpr double kWorthIt = 1.1;      // more connections must bring so much
constexpr milliseconds kWindow{500};  // over which a rate is measured
constexpr std::uint64_t kSyncBytes = 64 << 20;
constexpr milliseconds kSyncTime{2'000};
constexpr milliseconds kProgressTime{100};
constexpr std::size_t kHashPiece = 256 << 10;

double seconds_since(steady_clock::time_point start) {
  return duration<double>(steady_clock::now() - start).count();
}

// Follows the bytes that are there without a gap, in a thread of its own.
class Follower {
 public:
  Follower(TransferState& state) : state_(state) {
    if (state.request.digest) thread_ = std::thread([this] { run(); });
  }
  ~Follower() {
    if (thread_.joinable()) thread_.join();
  }
  Follower(const Follower&) = delete;

  // Waits for the end. The hash; empty when there is none to take.
  Result<std::string> finish() {
    if (thread_.joinable()) thread_.join();
    if (problem_) return *problem_;
    return hash_;
  }
  std::uint64_t done() const { return done_.load(std::memory_order_relaxed); }
  bool is_done() const { return is_done_.load(std::memory_order_acquire); }

 private:
  void run() {
    follow();
    is_done_.store(true, std::memory_order_release);
    state_.notify_all();
  }
  void follow() {
    Hasher hasher(state_.request.digest->kind, state_.request.size);
    std::vector<std::byte> piece(kHashPiece);
    std::uint64_t at = 0;
    while (at < state_.request.size) {
      const std::uint64_t limit = state_.partial.prefix();
      if (at == limit) {
        if (state_.context.stop.load(std::memory_order_relaxed) || state_.fatal()) return;
        state_.wait_for_bytes(milliseconds(20));
        continue;
      }
      const std::size_t room = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), limit - at));
      const Result<std::size_t> count = state_.partial.read(at, std::span(piece).first(room));
      if (!count || *count == 0) {
        problem_ = count ? Error{Code::io, state_.request.name, "became shorter while it was hashed"} : count.error();
        return;
      }
      hasher.update(std::span(piece).first(*count));
      at += *count;
      done_.store(at, std::memory_order_relaxed);
      state_.hashed(*count);
      if (state_.context.stop.load(std::memory_order_relaxed)) return;
    }
    hash_ = hasher.finish();
  }

  TransferState& state_;
  std::thread thread_;
  std::string hash_;
  std::optional<Error> problem_;
  std::atomic<std::uint64_t> done_{0};
  std::atomic<bool> is_done_{false};
};

// How many connections there should be, from the rates that they brought.
class Adapter {
 public:
  Adapter(TransferState& state, int most) : state_(state), most_(most) {}

  void look() {
    const double seconds = seconds_since(start_);
    if (state_.is_pressed() && !is_settled_) {
      state_.want(std::max(1, state_.wanted() - 1));
      is_settled_ = true;
    }
    if (is_settled_ || !state_.has_ranges() || seconds < duration<double>(kWindow).count()) return;
    const std::uint64_t received = state_.received();
    const double rate = static_cast<double>(received - received_) / seconds;
    received_ = received;
    start_ = steady_clock::now();
    if (rate <= 0) return;
    const int now = state_.wanted();
    if (rate < best_rate_ * kWorthIt) {
      state_.want(best_connections_);
      is_settled_ = true;
      return;
    }
    best_rate_ = rate;
    best_connections_ = now;
    const int more = std::min(most_, now * 2);
    if (more == now) is_settled_ = true;
    state_.want(more);
  }

 private:
  TransferState& state_;
  int most_;
  steady_clock::time_point start_ = steady_clock::now();
  std::uint64_t received_ = 0;
  double best_rate_ = 0;
  int best_connections_ = 1;
  bool is_settled_ = false;
};

// The connections of a transfer, one thread each.
class Connections {
 public:
  explicit Connections(TransferState& state) : state_(state) {}
  ~Connections() { join(); }
  Connections(const Connections&) = delete;

  void start_up_to(int count) {
    while (static_cast<int>(threads_.size()) < count) {
      const int number = static_cast<int>(threads_.size());
      state_.context.connections.fetch_add(1, std::memory_order_relaxed);
      threads_.emplace_back([this, number] {
        Fetcher(state_, number).run();
        state_.context.connections.fetch_sub(1, std::memory_order_relaxed);
        state_.notify_all();
      });
    }
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  TransferState& state_;
  std::vector<std::thread> threads_;
};

int first_connections(const HubContext& context, const TransferRequest& request) {
  if (request.size < kSeveral) return 1;
  const int others = context.connections.load(std::memory_order_relaxed);
  return std::clamp(context.options.connections - others, 1, std::min(kFirstConnections, context.options.connections));
}

// Runs the connections until all bytes are there or everything has failed.
void fetch_all(TransferState& state) {
  Connections connections(state);
  const int first = state.has_ranges() ? first_connections(state.context, state.request) : 1;
  state.want(first);
  Adapter adapter(state, state.request.size < kSeveral ? 1 : std::max(first, state.context.options.connections));
  auto told = steady_clock::now(), synced = told;
  std::uint64_t synced_bytes = 0;
  while (!state.is_over()) {
    connections.start_up_to(state.wanted());
    state.wait_for_end(milliseconds(50));
    adapter.look();
    const auto now = steady_clock::now();
    if (now - told >= kProgressTime) {
      told = now;
      state.events.tell({.step = PullStep::progress,
                         .file = state.request.name,
                         .done = state.there_bytes(),
                         .total = state.request.size});
    }
    if (state.received() - synced_bytes >= kSyncBytes ||
        (now - synced >= kSyncTime && state.received() > synced_bytes)) {
      synced_bytes = state.received();
      if (const auto done = state.partial.sync(); !done) state.give_up(done.error());
      synced = steady_clock::now();
    }
  }
}

// Waits for the hash of what is there and tells how far it is.
Result<std::string> finish_hash(TransferState& state, Follower& follower) {
  auto told = steady_clock::now() - kProgressTime;
  while (state.request.digest && !follower.is_done() && !state.context.stop.load(std::memory_order_relaxed)) {
    if (const auto now = steady_clock::now(); now - told >= kProgressTime) {
      told = now;
      state.events.tell({.step = PullStep::verifying,
                         .file = state.request.name,
                         .done = follower.done(),
                         .total = state.request.size});
    }
    std::this_thread::sleep_for(milliseconds(1));
  }
  return follower.finish();
}

}  // namespace

Result<TransferTimes> transfer(HubContext& context, EventTeller& events, const TransferRequest& request,
                               PartialFile& partial) {
  const auto start = steady_clock::now();
  TransferState state(context, events, request, partial);
  Follower follower(state);
  if (!state.is_complete()) fetch_all(state);
  // A file without a hash that turned out to be another one is not the one that was asked for, complete or not.
  const auto fatal = state.fatal();
  if (fatal && fatal->code == Code::mismatch && !request.is_pinned) return *fatal;
  if (!state.is_complete()) {
    // What is there stays for the next time, also when the power goes.
    static_cast<void>(partial.sync());
    if (fatal) return *fatal;
    return Error{Code::interrupted, "", "stopped"};
  }
  ASSAY_TRY(const std::string hash, finish_hash(state, follower));
  // A hash that was not taken to the end says nothing about the bytes: they stay for the next time.
  const bool is_hashed = !request.digest || !hash.empty();
  if (!is_hashed && fatal) return *fatal;
  if (!is_hashed || context.stop.load(std::memory_order_relaxed)) return Error{Code::interrupted, "", "stopped"};
  if (request.digest && hash != request.digest->hex)
    return Error{Code::mismatch, "hash",
                 fmt::format("{} arrived with the {} {}, and it must be {}", request.name,
                             name_of(request.digest->kind), hash, request.digest->hex)};
  return TransferTimes{.transfer_s = seconds_since(start)};
}

}  // namespace assay
