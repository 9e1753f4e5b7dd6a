// Fills: endless valid bytes of a weight format, random levels under sane scales, at memory speed.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/formats/dtype.h"

namespace assay {

// xoshiro256++ (Blackman and Vigna 2019, public domain algorithm), seeded through splitmix64.
class RandomBits {
 public:
  explicit RandomBits(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15u;
      std::uint64_t mixed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9u;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
      word = mixed ^ (mixed >> 31);
    }
  }

  std::uint64_t next() {
    const std::uint64_t out = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return out;
  }

 private:
  std::uint64_t state_[4];
};

// Fills whole blocks (or elements) with the next random ones. Safe to call from several threads, each with its own
// bits.
using Fill = std::function<void(std::span<std::byte> out, RandomBits& bits)>;

// Weights of mean about 0 and standard deviation `deviation` in a self-contained format. Values of one block spread as
// the format's levels do when all are equally likely; plain elements are normally distributed. Errors: unsupported, for
// formats whose scales lie elsewhere or that cannot hold such values.
Result<Fill> make_weight_fill(FormatId format, double deviation);

// Elements around `mean`, normally distributed: norms, for instance. F32, F16 or BF16.
Result<Fill> make_element_fill(FormatId format, double mean, double deviation);

// MLX affine: the packed levels, and scales and biases that belong together. Scales and biases must be filled from
// equal bits.
struct MlxFills {
  Fill levels, scales, biases;
};
Result<MlxFills> make_mlx_fills(FormatId format, FormatId scale_format, double deviation);

}  // namespace assay
