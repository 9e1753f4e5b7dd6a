// Threads: one pool of workers per object; work is a fixed grid of chunks claimed in order. TBB stays in the .cpp.
#pragma once

#include <cstddef>
#include <memory>

#include "runtime/core/function_ref.h"

namespace assay {

// Hardware threads this process may run on (its affinity mask).
int available_threads();

class Threads {
 public:
  // `count` threads including the caller; 0 means available_threads().
  explicit Threads(int count = 0);
  ~Threads();
  Threads(Threads&&) noexcept;
  Threads& operator=(Threads&&) noexcept;

  int count() const;

  // Calls body(chunk) once for every chunk in [0, chunks), on any thread, and returns when all are done. The grid does not
  // depend on the number of threads, so a result that depends only on its chunk is the same at any thread count.
  void for_chunks(std::size_t chunks, FunctionRef<void(std::size_t chunk)> body);

  // The same; `worker` in [0, count()) is never given to two running bodies at once, so it can choose scratch memory.
  void for_chunks_by_worker(std::size_t chunks, FunctionRef<void(std::size_t chunk, std::size_t worker)> body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assay
