// oneTBB behind Threads.
#include "runtime/core/parallel.h"

#include <sched.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>

namespace assay {

int available_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

struct Threads::State {
  explicit State(int count)
      : allowed(tbb::global_control::max_allowed_parallelism,
                std::max(static_cast<std::size_t>(count), tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism))),
        arena(count, 1) {}
  // Lets an arena hold more threads than cores when asked to.
  tbb::global_control allowed;
  tbb::task_arena arena;
};

Threads::Threads(int count) : state_(std::make_unique<State>(count > 0 ? count : available_threads())) {}
Threads::~Threads() = default;
Threads::Threads(Threads&&) noexcept = default;
Threads& Threads::operator=(Threads&&) noexcept = default;

int Threads::count() const { return state_->arena.max_concurrency(); }

void Threads::for_chunks(std::size_t chunks, FunctionRef<void(std::size_t)> body) {
  for_chunks_by_worker(chunks, [&](std::size_t chunk, std::size_t) { body(chunk); });
}

void Threads::for_chunks_by_worker(std::size_t chunks, FunctionRef<void(std::size_t, std::size_t)> body) {
  const std::size_t workers = std::min<std::size_t>(static_cast<std::size_t>(count()), chunks);
  if (workers <= 1) {
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) body(chunk, 0);
    return;
  }
  // Release here, both in each claim, acquire at the end: what bodies wrote is ordered by this counter alone, also for the
  // thread sanitizer, which cannot see into TBB. On x86 a claim costs the same in any order.
  std::atomic<std::size_t> next;
  next.store(0, std::memory_order_release);
  const auto claim_until_done = [&](std::size_t worker) {
    for (std::size_t chunk; (chunk = next.fetch_add(1, std::memory_order_acq_rel)) < chunks;) body(chunk, worker);
  };
  state_->arena.execute([&] { tbb::parallel_for(std::size_t{0}, workers, claim_until_done, tbb::static_partitioner()); });
  (void)next.load(std::memory_order_acquire);
}

}  // namespace assay
