// Session: one model, one backend, one KV cache; feed tokens, read logits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/progress.h"
#include "runtime/engine/backend_choice.h"
#include "runtime/engine/device_pass.h"
#include "runtime/engine/forward.h"
#include "runtime/model/memory_plan.h"
#include "runtime/model/model.h"

namespace assay {

struct SessionOptions {
  BackendName backend = BackendKind::cpu;
  int threads = 0;              // 0: as many as this process may use
  std::uint32_t context = 0;    // tokens the KV cache holds for each sequence; 0: the model's own context, at most 4096
  std::uint32_t batch = 512;    // tokens of a prompt computed together
  std::uint32_t sequences = 1;  // texts decoded together, each with a context of its own
  KvType kv = KvType::f16;      // the reference backend always uses f32
  std::string_view isa{};       // "avx512_bf16", "avx2", ... (all_kernels()) to force one; empty: the best this processor has
  std::optional<std::uint32_t> gpu_layers{};    // the last ones run on the device; none: all
  std::optional<ProgressFn> progress{};         // of the upload to a device
  std::string cache_folder{};                   // where a device's compiled kernels are kept; empty: nowhere
};

class Session {
 public:
  // `model` must outlive the session. Errors: unsupported, memory, usage (context beyond what was asked), io (a device failed).
  static Result<Session> open(const Model& model, const SessionOptions& options);
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Computes `tokens` at the position of `sequence` and moves it on. Returns logits [rows][vocab]: all rows, the last one, or none;
  // valid until the next call. Errors: range (id outside the vocabulary, context full): nothing is computed then.
  Result<std::span<const float>> feed(std::span<const std::int32_t> tokens, LogitsWanted wanted, std::uint32_t sequence = 0);

  // One token for each of the sequences 0, 1, ... in one pass over the weights; returns logits [tokens][vocab]. Errors: as feed.
  Result<std::span<const float>> step(std::span<const std::int32_t> tokens);

  // The same, for those who take the most likely token (the lowest id among equals) and need no logits: a device chooses by itself and
  // sends ids. Of feed() the choice after the last token, of step() one for each; valid until the next call.
  Result<std::int32_t> feed_and_choose(std::span<const std::int32_t> tokens, std::uint32_t sequence = 0);
  Result<std::span<const std::int32_t>> step_and_choose(std::span<const std::int32_t> tokens);

  std::uint32_t position(std::uint32_t sequence = 0) const;
  std::uint32_t context() const;
  // Forgets everything from `position` on, in every sequence or in one. With sliding windows that may mean computing what is left
  // again: their layers keep the last positions only.
  void rewind(std::uint32_t position = 0);
  void rewind_one(std::uint32_t sequence, std::uint32_t position);

  const MemoryPlan& plan() const;
  const SessionOptions& options() const;  // as resolved: threads, context
  std::string_view isa() const;           // the table in use; "eigen" for the reference; the device's name
  // Why `auto` chose what options() says, also later when the device that it chose has failed; empty otherwise.
  const std::string& backend_note() const;
  std::optional<DevicePass> device_pass();  // of a device's last pass
  // From now on a device notes the time after each kernel, which costs some; see DevicePass::kernels.
  void measure_kernels();

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state);
  Result<> compute(std::span<const std::int32_t> tokens, std::span<const Segment> segments, LogitsWanted wanted, bool chooses = false);
  Result<> compute_once(std::span<const std::int32_t> tokens, std::span<const Segment> segments, LogitsWanted wanted, bool chooses);
  Result<> leave_device(const Error& error);
  void note_fed(std::span<const std::int32_t> tokens, std::span<const Segment> segments);
  Result<std::vector<Segment>> next_segments(std::span<const std::int32_t> tokens) const;
  Result<> feed_batches(std::span<const std::int32_t> tokens, LogitsWanted wanted, std::uint32_t sequence, bool chooses);
  void restore_windows(std::uint32_t sequence, std::uint32_t position);
  std::unique_ptr<State> state_;
};

}  // namespace assay
