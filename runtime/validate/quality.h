// Quality: what a file's numbers of bits let one expect of its answers; an estimate from the format, not a measurement.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/formats/model_file.h"
#include "runtime/model/memory_plan.h"

namespace assay {

enum class TensorClass : std::uint8_t { embedding, output, attention, feed_forward, other, kCount };
std::string_view name_of(TensorClass kind);

struct ClassBits {
  TensorClass kind = TensorClass::other;
  std::uint64_t parameters = 0, bytes = 0;
  double bits_per_weight() const {
    return parameters == 0 ? 0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(parameters);
  }
};

struct Quality {
  std::uint64_t parameters = 0, bytes = 0;  // of all tensors, scales included
  std::vector<ClassBits> classes;           // those that occur
  double layer_bits = 0;                    // bits per weight of attention and feed-forward: what quality follows
  std::string expected;                     // "close to the original", ...; says that it is an estimate
  std::optional<MemoryPlan> memory;         // where the model can be bound
  std::uint32_t context = 0;                // that `memory` is for
  double bits_per_weight() const {
    return parameters == 0 ? 0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(parameters);
  }
};

Quality estimate_quality(const ModelFile& model);

}  // namespace assay
