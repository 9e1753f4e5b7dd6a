// What RowWork computes on, and what it is compared with.
#include "bench/kernel_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "bench/kernel_data.h"
#include "runtime/core/aligned.h"
#include "runtime/core/half.h"
#include "runtime/engine/sampler.h"

namespace assay {

namespace {

constexpr std::uint32_t kWidth = 4096, kGateWidth = 8192, kLogits = 131072;
constexpr std::uint32_t kQueries = 4, kHead = 64, kPositions = 4096;
constexpr std::uint32_t kPromptTokens = 512;
constexpr std::size_t kCacheValues = std::size_t{kPositions} * kHead;  // keys of one head, and as many values

// Attention of prompts rounds what it is given: this stays as it is.
float exact_in_bfloat16(float value) { return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0xffff0000u); }

}  // namespace

std::string_view name_of(RowKernel kernel) {
  constexpr std::string_view kNames[] = {"attention", "prompt", "norm", "gate", "quantize", "greedy", "sample"};
  return kNames[static_cast<std::size_t>(kernel)];
}

struct RowWork::Data {
  std::vector<float> in, weight, out;
  AlignedBuffer<std::uint16_t> cache;  // attention: [head][keys, values]
  std::size_t heads = 0, head = 0;     // how many, and the next one
  AlignedBuffer<std::int8_t> levels;
  AlignedBuffer<float> scales, sums;
  SamplerOptions options;
  std::int32_t token = -1;
};

RowWork::RowWork(RowKernel which, const Kernels* kernels, std::uint64_t bytes) : which_(which), kernels_(kernels), data_(std::make_unique<Data>()) {
  Data& data = *data_;
  switch (which) {
    case RowKernel::attention:
    case RowKernel::prompt: {
      data.in = normal_values(std::size_t{kQueries} * kHead * (which == RowKernel::prompt ? kPromptTokens : 1), 1.0f);
      data.out.resize(data.in.size());
      data.heads = which == RowKernel::prompt ? 1 : std::max<std::size_t>(1, bytes / (2 * kCacheValues * sizeof(std::uint16_t)));
      data.cache = AlignedBuffer<std::uint16_t>(data.heads * 2 * kCacheValues);
      const std::vector<float> values = normal_values(2 * kCacheValues, 1.0f);
      for (std::size_t i = 0; i < data.cache.size(); ++i) data.cache[i] = to_half(exact_in_bfloat16(values[i % values.size()])).bits;
      for (float& value : data.in) value = exact_in_bfloat16(value);
      return;
    }
    case RowKernel::norm:
    case RowKernel::quantize:
      data.in = normal_values(kWidth, 1.0f);
      data.weight.assign(kWidth, 0.5f);
      data.out.resize(kWidth);
      data.levels = AlignedBuffer<std::int8_t>(chunks_of(kWidth) * kChunk);
      data.scales = AlignedBuffer<float>(chunks_of(kWidth) * kGroupsPerChunk);
      data.sums = AlignedBuffer<float>(chunks_of(kWidth) * kGroupsPerChunk);
      return;
    case RowKernel::gate:
      data.in = normal_values(kGateWidth, 2.0f);
      data.weight = normal_values(kGateWidth, 1.0f);
      data.out.resize(kGateWidth);
      return;
    case RowKernel::greedy:
    case RowKernel::sample:
      data.in = normal_values(kLogits, 3.0f);
      if (which == RowKernel::sample) data.options.temperature = 0.8f;
      return;
  }
}

RowWork::~RowWork() = default;

void RowWork::compute(const Kernels* kernels) {
  Data& data = *data_;
  switch (which_) {
    case RowKernel::attention: {
      const auto keys_of = [&](std::size_t head) { return data.cache.data() + head * 2 * kCacheValues; };
      std::uint16_t* keys = keys_of(data.head);
      KvView kv{.head_dim = kHead, .padded_dim = padded_dim_of(kHead), .keys = keys, .values = keys + kCacheValues};
      kv.next_keys = keys_of((data.head + 1) % data.heads);
      AttentionRow rows[kQueries];
      for (std::size_t r = 0; r < kQueries; ++r) rows[r] = {data.in.data() + r * kHead, data.out.data() + r * kHead, kPositions};
      kernels->attend(kv, rows, kQueries, {0.125f});
      return;
    }
    case RowKernel::prompt: {
      const KvView kv{.head_dim = kHead, .padded_dim = padded_dim_of(kHead), .keys = data.cache.data(), .values = data.cache.data() + kCacheValues};
      const auto attend = kernels->attend_many != nullptr ? kernels->attend_many : kernels->attend;
      const std::uint32_t together = kernels->attend_many != nullptr ? kAttentionManyRows : kAttentionRows, all = kPromptTokens * kQueries;
      std::array<AttentionRow, kAttentionManyRows> rows;
      for (std::uint32_t first = 0; first < all; first += together) {
        const std::uint32_t count = std::min(together, all - first);
        for (std::uint32_t r = 0; r < count; ++r) {
          const std::size_t at = std::size_t{first + r} * kHead;
          rows[r] = {data.in.data() + at, data.out.data() + at, (first + r) / kQueries + 1};
        }
        attend(kv, rows.data(), count, {0.125f});
      }
      return;
    }
    case RowKernel::norm: return kernels->rms_norm(data.in.data(), data.weight.data(), kWidth, 1e-5f, data.out.data());
    case RowKernel::gate:  // works in place: on a copy, which the time includes
      std::copy(data.in.begin(), data.in.end(), data.out.begin());
      return kernels->gate_up(data.out.data(), data.weight.data(), kGateWidth);
    case RowKernel::quantize: return kernels->quantize(data.in.data(), kWidth, false, data.levels.data(), data.scales.data(), data.sums.data());
    case RowKernel::greedy:
    case RowKernel::sample: data.token = Sampler(data.options).next(data.in, {}); return;
  }
}

// Rounding in another order moves sums of thousands of terms of size 1 by about 1e-5; a lost term moves them by more than 1e-4.
Result<> RowWork::check() {
  Data& data = *data_;
  const auto wrong = [&](std::string what) { return Error{Code::mismatch, std::string(name_of(which_)), std::move(what)}; };
  if (is_sampler(which_)) {
    compute(nullptr);
    const std::int32_t first = data.token;
    compute(nullptr);
    if (data.token != first) return wrong("the same seed draws another token");
    const auto above = std::count_if(data.in.begin(), data.in.end(), [&](float logit) { return logit > data.in[static_cast<std::size_t>(first)]; });
    const auto most = which_ == RowKernel::greedy ? 0 : static_cast<std::ptrdiff_t>(data.options.top_k) - 1;
    if (above > most) return wrong(fmt::format("{} logits lie above the token's", above));
    return success();
  }
  const auto answer = [&](const Kernels* kernels) {
    compute(kernels);
    if (which_ != RowKernel::quantize) return data.out;
    std::vector<float> values(kWidth);
    for (std::size_t i = 0; i < kWidth; ++i) values[i] = static_cast<float>(data.levels[i]) * data.scales[i / 16];
    return values;
  };
  const std::vector<float> truth = answer(kernels_named("scalar")), got = answer(kernels_);
  const float bound = which_ == RowKernel::prompt && kernels_->attend_many != nullptr ? 0x1p-8f : 1e-4f;  // shares are rounded to bfloat16
  for (std::size_t i = 0; i < truth.size(); ++i)
    if (!(std::abs(got[i] - truth[i]) <= bound * (1 + std::abs(truth[i]))))
      return wrong(fmt::format("value {} is {:.9g}, the scalar kernel's {:.9g}", i, got[i], truth[i]));
  return success();
}

void RowWork::call() {
  compute(kernels_);
  if (data_->heads > 0) data_->head = (data_->head + 1) % data_->heads;
}

double RowWork::bytes_read() const { return which_ == RowKernel::attention ? 2.0 * kCacheValues * sizeof(std::uint16_t) : 0; }

double RowWork::values() const {
  if (which_ == RowKernel::attention) return 2.0 * kCacheValues * kQueries;
  if (which_ == RowKernel::prompt) return 2.0 * kHead * kQueries * kPromptTokens * (kPromptTokens + 1) / 2;
  return static_cast<double>(data_->in.size());
}

}  // namespace assay
