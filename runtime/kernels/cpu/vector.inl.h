// Kernels on float rows, written once on sixteen lanes: input quantiser and packer, norm, gate.

// The first `count` (at most 16) of sixteen floats, the rest 0.
inline Vec load_part(const float* p, std::uint32_t count) {
  float buffer[16] = {};
  std::memcpy(buffer, p, count * sizeof(float));
  return load(buffer);
}
inline void store_part(float* p, std::uint32_t count, Vec v) {
  float buffer[16];
  store(buffer, v);
  std::memcpy(p, buffer, count * sizeof(float));
}

// `count` floats, a multiple of 16, become zero: gcc makes of a memset an instruction that takes longer to start than most of them last.
inline void clear(float* p, std::size_t count) {
  for (std::size_t i = 0; i < count; i += 16) store(p + i, zero());
}

// Largest magnitude of 1 to 32 floats; NaN when one of them is.
inline float top_magnitude(const float* values, std::uint32_t count) {
  if (count == 32) return reduce_top(load(values), load(values + 16));
  if (count <= 16) return reduce_top(load_part(values, count));
  return reduce_top(load(values), load_part(values + 16, count - 16));
}

// Below this inputs count as zero: their inverse scale would overflow.
constexpr float kTinyInput = 1e-30f;
constexpr std::uint32_t kInputGroup = 32;  // values that share a scale
// Sums of levels in 16 bits: in units of 1/8 of the largest scale's level, so that 32 * 127 levels still fit. Finer than the levels'
// own rounding moves a sum.
constexpr float kPairSteps = 8;

inline float larger_or_nan(float a, float b) { return a >= b || std::isnan(a) ? a : b; }

// Whole scales of a chunk are multiples of a unit, at most so many: kernels whose weights have whole scales, too, add whole numbers. A group
// loses at most a 127th of a level of the chunk's largest: the root mean square error grows by 1.6 % where values are normally distributed.
constexpr int kScaleSteps = 127;
inline float unit_of(float largest_scale) { return largest_scale / kScaleSteps; }

void quantize(const float* values, std::uint32_t cols, bool whole_scales, std::int8_t* levels, float* scales, float* sums) {
  const std::uint32_t padded = chunks_of(cols) * kChunk;
  for (std::uint32_t first = 0; first < padded; first += kChunk) {
    float tops[kChunk / kInputGroup], largest = 0;
    for (std::uint32_t g = 0; g < kChunk / kInputGroup; ++g) {
      const std::uint32_t at = first + g * kInputGroup, present = at < cols ? std::min(kInputGroup, cols - at) : 0;
      tops[g] = present > 0 ? top_magnitude(values + at, present) : 0.0f;
      largest = larger_or_nan(largest, tops[g]);
    }
    const float unit = unit_of(largest / 127.0f), to_steps = largest > kTinyInput ? kScaleSteps / largest : 0.0f;
    for (std::uint32_t g = 0; g < kChunk / kInputGroup; ++g) {
      float scale = tops[g] / 127.0f, inverse = tops[g] > kTinyInput ? 127.0f / tops[g] : 0.0f;
      if (whole_scales) {
        const float steps = std::ceil(tops[g] * to_steps);
        scale = unit * (steps > kScaleSteps ? kScaleSteps : steps);
        inverse = scale > 0 && scale < HUGE_VALF ? 1.0f / scale : 0.0f;
      }
      for (std::uint32_t at = first + g * kInputGroup; at < first + (g + 1) * kInputGroup; at += 16) {
        const std::uint32_t left = at < cols ? cols - at : 0;
        const Vec x = left >= 16 ? load(values + at) : load_part(values + (left ? at : 0), left);
        store_rounded(levels + at, mul(x, splat(inverse)));
        int sum = 0;
        for (int i = 0; i < 16; ++i) sum += levels[at + i];
        scales[at / 16] = scale;
        sums[at / 16] = scale * static_cast<float>(sum);
      }
    }
  }
}

// RMS norm (Zhang & Sennrich 2019).
void rms_norm(const float* values, const float* weight, std::uint32_t count, float epsilon, float* out) {
  Vec squares[4] = {zero(), zero(), zero(), zero()};  // chains enough to hide the latency of the adds
  std::uint32_t i = 0;
  for (; i + 64 <= count; i += 64)
    for (std::uint32_t k = 0; k < 4; ++k) squares[k] = fma(load(values + i + 16 * k), load(values + i + 16 * k), squares[k]);
  for (; i + 16 <= count; i += 16) squares[0] = fma(load(values + i), load(values + i), squares[0]);
  if (i < count) squares[1] = fma(load_part(values + i, count - i), load_part(values + i, count - i), squares[1]);
  const float sum = reduce_add(add(add(squares[0], squares[1]), add(squares[2], squares[3])));
  const float scale = 1.0f / std::sqrt(sum / static_cast<float>(count) + epsilon);
  const Vec wide = splat(scale);
  for (i = 0; i + 16 <= count; i += 16) store(out + i, mul(mul(load(values + i), wide), load(weight + i)));
  for (; i < count; ++i) out[i] = values[i] * scale * weight[i];
}

// Rotary embedding (Su et al. 2021) of pairs i and i + pairs.
inline void rotate_halves(float* values, const float* cosines, const float* sines, std::uint32_t pairs) {
  for (std::uint32_t i = 0; i < pairs; i += 16) {
    const std::uint32_t left = std::min(16u, pairs - i);
    const auto read = [left](const float* from) { return left == 16 ? load(from) : load_part(from, left); };
    const Vec a = read(values + i), b = read(values + pairs + i), cosine = read(cosines + i), sine = read(sines + i);
    const Vec turned_a = sub(mul(a, cosine), mul(b, sine)), turned_b = fma(a, sine, mul(b, cosine));
    if (left == 16) {
      store(values + i, turned_a);
      store(values + pairs + i, turned_b);
    } else {
      store_part(values + i, left, turned_a);
      store_part(values + pairs + i, left, turned_b);
    }
  }
}
// Of neighbours: cosines are there twice, sines with either sign.
inline void rotate_neighbours(float* values, const float* cosines, const float* sines, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; i += 16) {
    const std::uint32_t left = std::min(16u, count - i);
    const auto read = [left](const float* from) { return left == 16 ? load(from) : load_part(from, left); };
    const Vec x = read(values + i), turned = fma(swap_pairs(x), read(sines + i), mul(x, read(cosines + i)));
    if (left == 16)
      store(values + i, turned);
    else
      store_part(values + i, left, turned);
  }
}
void rotate(float* values, const float* cosines, const float* sines, std::uint32_t pairs, bool neighbours) {
  if (neighbours) return rotate_neighbours(values, cosines, sines, 2 * pairs);
  rotate_halves(values, cosines, sines, pairs);
}

// SwiGLU (Shazeer 2020): silu(gate) * up.
void gate_up(float* gate, const float* up, std::size_t count) {
  const Vec one = splat(1.0f);
  for (std::size_t i = 0; i < count; i += 16) {
    const std::uint32_t left = static_cast<std::uint32_t>(std::min<std::size_t>(16, count - i));
    const Vec g = left == 16 ? load(gate + i) : load_part(gate + i, left);
    const Vec u = left == 16 ? load(up + i) : load_part(up + i, left);
    const Vec result = mul(divide(g, add(one, exponential(sub(zero(), g)))), u);
    if (left == 16)
      store(gate + i, result);
    else
      store_part(gate + i, left, result);
  }
}

// LayerNorm (Ba et al. 2016): mean and deviation in two passes.
void layer_norm(const float* values, const float* weight, const float* bias, std::uint32_t count, float epsilon, float* out) {
  Vec sum = zero();
  std::uint32_t i = 0;
  for (; i + 16 <= count; i += 16) sum = add(load(values + i), sum);
  if (i < count) sum = add(load_part(values + i, count - i), sum);
  const float mean = reduce_add(sum) / static_cast<float>(count);
  float squares = 0;
  Vec wide_squares = zero();
  const Vec wide_mean = splat(mean);
  for (i = 0; i + 16 <= count; i += 16) {
    const Vec apart = sub(load(values + i), wide_mean);
    wide_squares = fma(apart, apart, wide_squares);
  }
  for (; i < count; ++i) squares += (values[i] - mean) * (values[i] - mean);
  const float scale = 1.0f / std::sqrt((reduce_add(wide_squares) + squares) / static_cast<float>(count) + epsilon);
  for (i = 0; i < count; ++i) out[i] = (values[i] - mean) * scale * weight[i] + (bias == nullptr ? 0.0f : bias[i]);
}

// `rule` of gate (and up, where there is one) on sixteen values at a time.
template <class Rule>
inline void activate_with(float* gate, const float* up, std::size_t count, Rule rule) {
  for (std::size_t i = 0; i < count; i += 16) {
    const std::uint32_t left = static_cast<std::uint32_t>(std::min<std::size_t>(16, count - i));
    const Vec g = load_part(gate + i, left);
    const Vec u = up == nullptr ? splat(1.0f) : load_part(up + i, left);
    store_part(gate + i, left, rule(g, u));
  }
}
inline Vec at_most(Vec x, float limit) { return sub(zero(), maximum(sub(zero(), x), splat(-limit))); }
// x * sigmoid(y); exp(80) is far from overflow, and what lies beyond is 0 all the same.
inline Vec times_sigmoid(Vec x, Vec y) { return divide(x, add(splat(1.0f), exponential(at_most(sub(zero(), y), 80.0f)))); }

// GELU (Hendrycks & Gimpel 2016), tanh form: x/2 (1 + tanh(t)) = x * sigmoid(2 t), t = sqrt(2 / pi) (x + 0.044715 x^3).
struct GeluRule {
  Vec operator()(Vec g, Vec u) const {
    const Vec t = mul(g, fma(mul(g, g), splat(0.07135481627f), splat(1.59576912161f)));
    return mul(times_sigmoid(g, t), u);
  }
};
void gate_up_gelu(float* gate, const float* up, std::size_t count) { activate_with(gate, up, count, GeluRule{}); }

struct ClampedRule {
  Vec operator()(Vec g, Vec u) const {
    const Vec gate = at_most(g, 7.0f), linear = maximum(at_most(u, 7.0f), splat(-7.0f));
    return mul(times_sigmoid(gate, mul(gate, splat(1.702f))), add(linear, splat(1.0f)));
  }
};
void gate_up_clamped(float* gate, const float* up, std::size_t count) { activate_with(gate, up, count, ClampedRule{}); }

// cap * tanh(x / cap) = cap - 2 cap / (exp(2 x / cap) + 1). Beyond 40 caps nothing changes any more.
void soft_cap(float* values, std::size_t count, float cap) {
  const Vec one = splat(1.0f), twice = splat(2.0f / cap), wide_cap = splat(cap), two_caps = splat(2 * cap), lowest = splat(-80.0f);
  for (std::size_t i = 0; i < count; i += 16) {
    const std::uint32_t left = static_cast<std::uint32_t>(std::min<std::size_t>(16, count - i));
    const Vec x = left == 16 ? load(values + i) : load_part(values + i, left);
    const Vec within = at_most(maximum(mul(x, twice), lowest), 80.0f);
    const Vec capped = sub(wide_cap, divide(two_caps, add(exponential(within), one)));
    if (left == 16)
      store(values + i, capped);
    else
      store_part(values + i, left, capped);
  }
}

// Products of float formats: every weight becomes a float on the way.
inline Vec load_weights(std::type_identity<F32>, const std::byte* row, std::uint32_t at) { return load(reinterpret_cast<const float*>(row) + at); }
inline Vec load_weights(std::type_identity<F16>, const std::byte* row, std::uint32_t at) { return load_half(reinterpret_cast<const std::uint16_t*>(row) + at); }
inline Vec load_weights(std::type_identity<BF16>, const std::byte* row, std::uint32_t at) { return load_bfloat16(reinterpret_cast<const std::uint16_t*>(row) + at); }

template <class F>
inline Vec load_weights_part(std::type_identity<F> format, const std::byte* row, std::uint32_t at, std::uint32_t count) {
  alignas(64) std::byte buffer[16 * sizeof(typename F::Element)] = {};
  std::memcpy(buffer, row + at * sizeof(typename F::Element), count * sizeof(typename F::Element));
  return load_weights(format, buffer, 0);
}

// Columns [first, last) of a row times N inputs. A line of every `Every` bytes `ahead` is fetched: of whole rows every other line will do
// for one input (fetch_half_ahead()), parts of rows the hardware does not follow.
template <class F, int N, std::size_t Every>
[[gnu::always_inline]] inline void dot_floats(const std::byte* at, const Inputs& inputs, std::uint32_t first, std::uint32_t last, std::size_t ahead, float (&dots)[N]) {
  constexpr std::type_identity<F> kFormat;
  constexpr std::size_t kSize = sizeof(typename F::Element);
  constexpr int kSums = N == 1 ? 4 : 2;  // chains that hide the latency of the adds
  const auto x = [&](int n, std::uint32_t i) { return inputs.values + static_cast<std::size_t>(n) * inputs.cols + i; };
  Vec sums[N][kSums];
  for (int n = 0; n < N; ++n)
    for (int k = 0; k < kSums; ++k) sums[n][k] = zero();
  std::uint32_t i = first;
  for (; i + 64 <= last; i += 64) {
    for (std::size_t byte = 0; byte < 64 * kSize; byte += Every) __builtin_prefetch(at + i * kSize + ahead + byte, 0, 2);  // as fetch_ahead()
    for (std::uint32_t k = 0; k < 4; ++k) {
      const Vec w = load_weights(kFormat, at, i + 16 * k);
      for (int n = 0; n < N; ++n) sums[n][k % kSums] = fma(w, load(x(n, i + 16 * k)), sums[n][k % kSums]);
    }
  }
  for (; i + 16 <= last; i += 16)
    for (int n = 0; n < N; ++n) sums[n][0] = fma(load_weights(kFormat, at, i), load(x(n, i)), sums[n][0]);
  if (i < last) {
    const Vec w = load_weights_part(kFormat, at, i, last - i);
    for (int n = 0; n < N; ++n) sums[n][0] = fma(w, load_part(x(n, i), last - i), sums[n][0]);
  }
  for (int n = 0; n < N; ++n) {
    for (int k = 1; k < kSums; ++k) sums[n][0] = add(sums[n][0], sums[n][k]);
    dots[n] = reduce_add(sums[n][0]);
  }
}

// Inputs that fill the first cache level, or with one input half of it, would come from the second again for every row: such rows are
// multiplied block by block of columns, kFloatBlock values of all inputs together, a group of rows each.
constexpr std::uint32_t kFloatBlock = 4096, kFloatGroup = 64;

template <class F, int N>
void matvec_floats_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  constexpr std::uint32_t kMostAtOnce = N == 1 ? kFloatBlock : 2 * kFloatBlock / N, kMost = kFloatBlock / N;
  const std::uint32_t cols = weights.cols, blocks = cols <= kMostAtOnce ? 1 : (cols + kMost - 1) / kMost;
  const std::uint32_t block = ((cols + blocks - 1) / blocks + 63) / 64 * 64;
  for (std::uint32_t group = begin; group < end; group += kFloatGroup) {
    for (std::uint32_t first = 0; first < cols; first += block) {
      for (std::uint32_t row = group; row < std::min(end, group + kFloatGroup); ++row) {
        const std::byte* at = weights.data + row * weights.row_bytes;
        float dots[N];
        if (blocks == 1)
          dot_floats<F, N, N == 1 ? 2 * kLine : kLine>(at, inputs, 0, cols, kFetchAhead, dots);
        else
          dot_floats<F, N, kLine>(at, inputs, first, std::min(cols, first + block), weights.row_bytes, dots);
        for (int n = 0; n < N; ++n) {
          float& to = out.data[static_cast<std::size_t>(n) * out.stride + row];
          to = first > 0 || out.add ? to + dots[n] : dots[n];
        }
      }
    }
  }
}

template <class F>
void matvec_floats(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  switch (inputs.count) {
    case 1: return matvec_floats_n<F, 1>(weights, inputs, begin, end, out);
    case 2: return matvec_floats_n<F, 2>(weights, inputs, begin, end, out);
    case 3: return matvec_floats_n<F, 3>(weights, inputs, begin, end, out);
    default: return matvec_floats_n<F, 4>(weights, inputs, begin, end, out);
  }
}
