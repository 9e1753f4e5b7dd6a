// Threads: every chunk exactly once, at any thread count, again and again.
#include "runtime/core/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <new>
#include <numeric>
#include <thread>
#include <vector>

#include "runtime/core/aligned.h"
#include "runtime/core/function_ref.h"

namespace assay {
namespace {

TEST(Threads, CountIsWhatWasAskedFor) {
  EXPECT_GE(available_threads(), 1);
  EXPECT_EQ(Threads().count(), available_threads());
  EXPECT_EQ(Threads(1).count(), 1);
  EXPECT_EQ(Threads(5).count(), 5);  // more than there are cores is allowed
}

TEST(Threads, EveryChunkRunsOnce) {
  for (const int count : {1, 2, 3, 8}) {
    Threads threads(count);
    for (const std::size_t chunks : {0u, 1u, 2u, 7u, 64u, 1000u}) {
      std::vector<std::atomic<int>> hits(chunks);
      threads.for_chunks(chunks, [&](std::size_t chunk) { hits[chunk].fetch_add(1); });
      for (std::size_t i = 0; i < chunks; ++i) ASSERT_EQ(hits[i].load(), 1) << "chunk " << i << " of " << chunks << ", " << count << " threads";
    }
  }
}

TEST(Threads, ResultsAreVisibleToTheCallerAfterwards) {
  Threads threads(2);
  std::vector<int> values(64);
  for (int round = 1; round <= 2000; ++round) {
    threads.for_chunks(values.size(), [&](std::size_t chunk) { values[chunk] = round; });
    ASSERT_EQ(std::accumulate(values.begin(), values.end(), 0), 64 * round);
  }
}

TEST(Threads, NoTwoBodiesRunAtOnceAsTheSameWorker) {
  Threads threads(4);
  std::vector<std::atomic<int>> busy(static_cast<std::size_t>(threads.count()));
  std::atomic<int> collisions{0}, runs{0};
  for (int round = 0; round < 200; ++round) {
    threads.for_chunks_by_worker(64, [&](std::size_t, std::size_t worker) {
      ASSERT_LT(worker, busy.size());
      if (busy[worker].fetch_add(1) != 0) ++collisions;
      ++runs;
      busy[worker].fetch_sub(1);
    });
  }
  EXPECT_EQ(collisions.load(), 0);
  EXPECT_EQ(runs.load(), 200 * 64);
}

TEST(Threads, TwoPoolsLiveSideBySide) {
  Threads first(2), second(3);
  std::atomic<int> sum{0};
  first.for_chunks(10, [&](std::size_t) { ++sum; });
  second.for_chunks(10, [&](std::size_t) { ++sum; });
  Threads moved = std::move(first);
  moved.for_chunks(10, [&](std::size_t) { ++sum; });
  EXPECT_EQ(sum.load(), 30);
}

TEST(Threads, WhatABodyThrowsComesOut) {
  Threads threads(3);
  for (int round = 0; round < 100; ++round) {
    const auto fail = [&](std::size_t chunk) {
      if (chunk % 5 == 2) throw std::bad_alloc();
    };
    EXPECT_THROW(threads.for_chunks(20, fail), std::bad_alloc);
    std::atomic<int> runs{0};
    threads.for_chunks(20, [&](std::size_t) { ++runs; });
    ASSERT_EQ(runs.load(), 20);
  }
}

// As when a busy neighbour takes a worker's core away while it holds a chunk.
TEST(Threads, AWorkerThatKeepsTheOthersWaitingIsLeftOutForAWhile) {
  constexpr int kRounds = 100;
  Threads threads(2);
  std::atomic<int> by_worker{0}, runs{0};
  for (int round = 0; round < kRounds; ++round)
    threads.for_chunks_by_worker(8, [&](std::size_t, std::size_t worker) {
      ++runs;
      // Long enough for the worker to come for its share of each round.
      if (worker == 0) return std::this_thread::sleep_for(std::chrono::microseconds(100));
      ++by_worker;
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    });
  EXPECT_EQ(runs.load(), kRounds * 8);
  EXPECT_LT(by_worker.load(), kRounds / 4);
}

TEST(Threads, WorkersComeBackAfterAPause) {
  Threads threads(2);
  for (int round = 0; round < 3; ++round) {
    std::atomic<bool> came{false};
    const auto now = [] { return std::chrono::steady_clock::now(); };
    for (const auto end = now() + std::chrono::seconds(20); !came && now() < end;)
      threads.for_chunks_by_worker(2, [&](std::size_t, std::size_t worker) {
        if (worker == 1) came = true;
        for (const auto until = now() + std::chrono::microseconds(100); !came && now() < until;) std::this_thread::yield();
      });
    EXPECT_TRUE(came);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // long enough for a worker to leave
  }
}

TEST(FunctionRef, CallsWhatItRefersTo) {
  int calls = 0;
  auto count = [&](int by) { return calls += by; };
  const FunctionRef<int(int)> ref = count;
  EXPECT_EQ(ref(2), 2);
  EXPECT_EQ(ref(3), 5);
  EXPECT_EQ(calls, 5);
}

TEST(AlignedBuffer, StartsOnACacheLine) {
  for (const std::size_t size : {1u, 63u, 4096u}) {
    AlignedBuffer<float> buffer(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0u);
    EXPECT_EQ(buffer.size(), size);
    buffer[size - 1] = 1;
    EXPECT_EQ(buffer.span().back(), 1);
  }
}

}  // namespace
}  // namespace assay
