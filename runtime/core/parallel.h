// Threads: a caller and its workers share the chunks of one region after another. TBB, which lends the workers, stays in the .cpp.
#pragma once

#include <cstddef>
#include <memory>

#include "runtime/core/function_ref.h"

namespace assay {

// Hardware threads this process may run on (its affinity mask).
int available_threads();

class Threads {
 public:
  // `count` threads including the caller; 0 means available_threads(). Workers that are not needed sleep.
  explicit Threads(int count = 0);
  ~Threads();
  Threads(Threads&&) noexcept;
  Threads& operator=(Threads&&) noexcept;

  int count() const;

  // Calls body(chunk) once for every chunk in [0, chunks), on any thread, and returns when all are done; what a body throws comes
  // out of it. The grid does not depend on the number of threads, so a result that depends only on its chunk is the same at any
  // thread count. Each thread begins with a run of neighbouring chunks. One call at a time, and none from a body.
  void for_chunks(std::size_t chunks, FunctionRef<void(std::size_t chunk)> body);

  // The same; `worker` in [0, count()) is never given to two running bodies at once, so it can choose scratch memory.
  void for_chunks_by_worker(std::size_t chunks, FunctionRef<void(std::size_t chunk, std::size_t worker)> body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assay
