// Regions of chunks on threads that oneTBB lends.
#include "runtime/core/parallel.h"

#include <sched.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/core/assert.h"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace assay {

namespace {

using Clock = std::chrono::steady_clock;
using Body = FunctionRef<void(std::size_t chunk, std::size_t worker)>;

// How long a worker looks for the next region before it gives its thread back: longer than the gaps within a token.
constexpr Clock::duration kStay = std::chrono::microseconds(200);
// A worker that the system has taken off its core in the middle of a chunk keeps all others waiting. Beyond this, and half of what
// the region took, it is left out for a while, twice as long each time.
constexpr Clock::duration kStall = std::chrono::microseconds(200), kFirstRest = std::chrono::milliseconds(4), kLongestRest = std::chrono::milliseconds(256);
constexpr std::size_t kMostThreads = 4096;
// One look at the clock for so many looks at a counter.
constexpr int kLooksPerClock = 64;

// The chunks of a region that are one worker's. It takes them from the front: it walks through memory in order, and what it fetches
// ahead is its own. Others take from the back when they have done theirs.
class alignas(64) Share {
 public:
  void set(std::uint64_t begin, std::uint64_t end) { word_.store(end << 32 | begin, std::memory_order_release); }
  bool take_first(std::size_t& chunk) {
    return take([&](std::uint64_t word) { return chunk = static_cast<std::uint32_t>(word), word + 1; });
  }
  bool take_last(std::size_t& chunk) {
    return take([&](std::uint64_t word) { return chunk = (word >> 32) - 1, word - (std::uint64_t{1} << 32); });
  }

 private:
  // A word says all there is to know of a region's share: whoever replaces it has a chunk of the region that runs now.
  template <class Without>
  bool take(const Without& without) {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    do {
      if (static_cast<std::uint32_t>(word) >= word >> 32) return false;
    } while (!word_.compare_exchange_weak(word, without(word), std::memory_order_acq_rel, std::memory_order_relaxed));
    return true;
  }
  std::atomic<std::uint64_t> word_{0};  // end << 32 | next
};

// The caller's side and the workers' side of regions. Workers keep it alive: they may end later than Threads.
class Crew : public std::enable_shared_from_this<Crew> {
 public:
  explicit Crew(std::size_t count) : members_(count), is_crowded_(count > static_cast<std::size_t>(available_threads())) {}

  std::size_t size() const { return members_.size(); }

  void run(std::size_t chunks, const Body& body, tbb::task_arena& arena) {
    ASSAY_CHECK(chunks <= UINT32_MAX && !is_running_.exchange(true));
    const Clock::time_point start = Clock::now();
    body_ = &body;
    done_.store(0, std::memory_order_relaxed);
    hand_out(chunks, start);
    region_.fetch_add(1, std::memory_order_seq_cst);
    for (std::size_t worker = 1; worker < size(); ++worker) {
      Member& member = members_[worker];
      if (!member.takes_part.load(std::memory_order_relaxed) || member.is_here.load(std::memory_order_seq_cst) || member.is_here.exchange(true)) continue;
      member.crew = shared_from_this();
      handing_over();
      try {
        arena.enqueue(Summons{this, worker});
      } catch (...) {  // without memory for a task the others do its chunks
        member.crew.reset();
        member.is_here.store(false);
      }
    }
    take_chunks(0);
    wait_for(chunks, start);
    is_running_.store(false);
    if (failure_ != nullptr) {
      has_failed_.store(false);
      std::rethrow_exception(std::exchange(failure_, nullptr));
    }
  }

  // What a worker does: chunks of one region after the other, until there has been none for a while.
  void work(std::size_t worker) {
    taking_over();
    Member& self = members_[worker];
    const std::shared_ptr<Crew> alive = std::move(self.crew);
    std::uint32_t seen = 0;
    do {
      Clock::time_point last = Clock::now();
      for (int looks = 1; !is_ending_.load(std::memory_order_relaxed); ++looks) {
        const std::uint32_t region = region_.load(std::memory_order_acquire);
        if (region != seen) {
          seen = region;
          if (self.takes_part.load(std::memory_order_relaxed)) {
            take_chunks(worker);
            last = Clock::now();
          }
        }
        pause();
        if (looks % kLooksPerClock == 0 && Clock::now() - last > kStay) break;
      }
      self.is_here.store(false, std::memory_order_seq_cst);
      // A region may have begun before that was seen: then this one is still wanted, unless another was called.
    } while (!is_ending_.load() && region_.load(std::memory_order_seq_cst) != seen && !self.is_here.exchange(true));
  }

  void end() { is_ending_.store(true); }

 private:
  // The task that TBB carries to a worker. What reads it has a name that the thread sanitizer can be told (scripts/sanitizers/tsan.supp).
  struct Summons {
    Crew* crew;
    std::size_t worker;
    void operator()() const { work_as_summoned(); }
    [[gnu::noinline]] void work_as_summoned() const { crew->work(worker); }
  };
  // TBB orders this; the thread sanitizer cannot see into it.
  void handing_over() {
#if defined(__SANITIZE_THREAD__)
    __tsan_release(this);
#endif
  }
  void taking_over() {
#if defined(__SANITIZE_THREAD__)
    __tsan_acquire(this);
#endif
  }

  struct alignas(64) Member {
    Share share;
    std::shared_ptr<Crew> crew;           // for its task
    std::atomic<bool> is_here{false};     // its task looks for regions, or will
    std::atomic<bool> is_working{false};  // in a chunk
    std::atomic<bool> takes_part{false};
    Clock::time_point rests_until{};  // the caller's alone, as `rest`: for how long it was sent
    Clock::duration rest{};
  };

  // With more threads than cores, whoever looks keeps another from working.
  void pause() const {
    if (is_crowded_) return std::this_thread::yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  void hand_out(std::size_t chunks, Clock::time_point now) {
    std::size_t parts = 0;
    for (Member& member : members_) {
      const bool rests = now < member.rests_until;
      if (!rests && now - member.rests_until > member.rest) member.rest = {};  // has worked for as long as it rested
      member.takes_part.store(!rests && parts < chunks, std::memory_order_relaxed);
      if (!rests && parts < chunks) ++parts;
    }
    std::size_t part = 0;
    for (Member& member : members_) {
      if (!member.takes_part.load(std::memory_order_relaxed)) continue;
      member.share.set(chunks * part / parts, chunks * (part + 1) / parts);
      ++part;
    }
  }

  void take_chunks(std::size_t worker) {
    Member& self = members_[worker];
    std::size_t chunk = 0, taken = 0;
    const auto finish = [&] {
      ++taken;
      if (has_failed_.load(std::memory_order_relaxed)) return;
      try {
        (*body_)(chunk, worker);
      } catch (...) {
        if (!has_failed_.exchange(true)) failure_ = std::current_exception();
      }
    };
    self.is_working.store(true, std::memory_order_relaxed);
    while (self.share.take_first(chunk)) finish();
    for (std::size_t i = 1; i < size(); ++i)
      while (members_[(worker + i) % size()].share.take_last(chunk)) finish();
    self.is_working.store(false, std::memory_order_relaxed);
    if (taken > 0) done_.fetch_add(taken, std::memory_order_acq_rel);
  }

  // Until the chunks that others have taken are done, too.
  void wait_for(std::size_t chunks, Clock::time_point start) {
    if (done_.load(std::memory_order_acquire) == chunks) return;
    const Clock::time_point waiting = Clock::now();
    const Clock::duration patience = std::max(kStall, (waiting - start) / 2);
    bool has_patience = true;
    for (int looks = 1; done_.load(std::memory_order_acquire) != chunks; ++looks) {
      if (!has_patience) {
        std::this_thread::yield();  // perhaps to the very thread that is waited for
        continue;
      }
      pause();
      if (looks % kLooksPerClock != 0) continue;
      const Clock::time_point now = Clock::now();
      has_patience = now - waiting < patience;
      if (!has_patience) send_late_to_rest(now);
    }
  }

  void send_late_to_rest(Clock::time_point now) {
    for (std::size_t worker = 1; worker < size(); ++worker) {
      Member& member = members_[worker];
      if (!member.is_working.load(std::memory_order_relaxed)) continue;
      member.rest = std::clamp(2 * member.rest, kFirstRest, kLongestRest);
      member.rests_until = now + member.rest;
    }
  }

  std::vector<Member> members_;
  const bool is_crowded_;
  const Body* body_ = nullptr;
  std::exception_ptr failure_;  // of the body that failed first
  alignas(64) std::atomic<std::uint32_t> region_{0};
  alignas(64) std::atomic<std::size_t> done_{0};
  alignas(64) std::atomic<bool> is_ending_{false};
  std::atomic<bool> is_running_{false}, has_failed_{false};
};

}  // namespace

int available_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

struct Threads::State {
  explicit State(int count) : arena(count, 1), crew(std::make_shared<Crew>(static_cast<std::size_t>(count))) {
    // An arena may hold more threads than there are cores when asked to. One limit for all of them: of several, the least holds.
    static const tbb::global_control allowed(tbb::global_control::max_allowed_parallelism, kMostThreads);
  }
  ~State() { crew->end(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  tbb::task_arena arena;
  std::shared_ptr<Crew> crew;
};

Threads::Threads(int count) : state_(std::make_unique<State>(count > 0 ? count : available_threads())) {}
Threads::~Threads() = default;
Threads::Threads(Threads&&) noexcept = default;
Threads& Threads::operator=(Threads&&) noexcept = default;

int Threads::count() const { return static_cast<int>(state_->crew->size()); }

void Threads::for_chunks(std::size_t chunks, FunctionRef<void(std::size_t)> body) {
  for_chunks_by_worker(chunks, [&](std::size_t chunk, std::size_t) { body(chunk); });
}

void Threads::for_chunks_by_worker(std::size_t chunks, FunctionRef<void(std::size_t, std::size_t)> body) {
  if (count() == 1 || chunks <= 1) {
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) body(chunk, 0);
    return;
  }
  state_->crew->run(chunks, body, state_->arena);
}

}  // namespace assay
