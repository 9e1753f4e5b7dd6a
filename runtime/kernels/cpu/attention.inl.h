// Attention over the cache in one pass, and the store that fills it; written once on sixteen lanes.

// Positions scored before their values are added: scores and values of a span stay in the first cache level.
constexpr std::uint32_t kSpan = 128;
constexpr std::uint32_t kMaxHead = kMaxHeadDim;
// Key blocks, or vectors of values, worked on together for R rows: sums enough that no multiply-add waits for the one before
// it, and no more than registers hold.
template <int R>
constexpr int kTogether = std::max({1, kVectors / 16, std::min(kVectors / 2 / R, 8)});

// How sixteen values of the cache become floats.
template <KvType K>
struct Stored;
template <>
struct Stored<KvType::f32> {
  using Value = float;
  static Vec read(const float* p) { return load(p); }
};
template <>
struct Stored<KvType::f16> {
  using Value = std::uint16_t;
  static Vec read(const std::uint16_t* p) { return load_half(p); }
};
template <>
struct Stored<KvType::q8_0> {
  using Value = std::int8_t;
  static Vec read(const std::int8_t* p) { return load_signed(p); }
};

template <int R>
struct Span {
  alignas(64) float scores[R][kSpan];  // afterwards the shares of the softmax, unnormalised
};

// What one pass over the cache keeps for R rows.
template <int R>
struct Rows {
  const float* query[R];
  std::uint32_t first[R], visible[R];
  float top[R], total[R];
  alignas(64) float sums[R][kMaxHead];  // unnormalised output
};

// Keys and values of a span lie far apart, and the hardware starts anew at each: while the one is worked on, the other is fetched,
// as many bytes as are read.
template <KvType K>
inline void fetch(const void* from, std::size_t value) {
  __builtin_prefetch(static_cast<const typename Stored<K>::Value*>(from) + value);
}

// The first block and the end of what `count` rows see.
struct Reach {
  std::uint32_t start, longest;
};
inline Reach reach_of(const AttentionRow* tasks, std::uint32_t count) {
  std::uint32_t longest = 0, earliest = tasks[0].first;
  for (std::uint32_t r = 0; r < count; ++r) {
    longest = std::max(longest, tasks[r].visible);
    earliest = std::min(earliest, tasks[r].first);
  }
  return {earliest / kKeyBlock * kKeyBlock, longest};
}
// Sums to the softmax's average.
inline void finish_row(const KvView& kv, const float* sums, float total, float* out) {
  const Vec share = splat(1.0f / total);
  std::uint32_t d = 0;
  for (; d + 16 <= kv.value_dim; d += 16) store(out + d, mul(load(sums + d), share));
  if (d < kv.value_dim) store_part(out + d, kv.value_dim - d, mul(load(sums + d), share));
}

// Scores of positions base + at .. base + blocks_end, W blocks together.
template <int R, int W, KvType K>
void score_blocks(const KvView& kv, const Rows<R>& rows, std::uint32_t base, std::uint32_t at, std::uint32_t blocks_end, float scale, Span<R>& span) {
  using Value = typename Stored<K>::Value;
  const std::uint32_t dim = kv.head_dim, groups = kv_groups(K, dim), group_size = groups > 0 ? kKvGroup : dim;
  for (; at + W * kKeyBlock <= blocks_end; at += W * kKeyBlock) {
    Vec score[R][W];
    for (int r = 0; r < R; ++r)
      for (int w = 0; w < W; ++w) score[r][w] = zero();
    const Value* block = static_cast<const Value*>(kv.keys) + std::size_t{base + at} * dim;
    for (std::uint32_t first = 0; first < dim; first += group_size) {
      Vec dot[R][W];
      for (int r = 0; r < R; ++r)
        for (int w = 0; w < W; ++w) dot[r][w] = zero();
      const std::uint32_t end = std::min(dim, first + group_size);
      for (std::uint32_t d = first; d < end; ++d) {
        Vec key[W];
        for (int w = 0; w < W; ++w) key[w] = in_register(Stored<K>::read(block + (static_cast<std::size_t>(w) * dim + d) * kKeyBlock));
        fetch<K>(kv.values, (std::size_t{base} + at) * dim + std::size_t{d} * W * kKeyBlock);
        for (int r = 0; r < R; ++r) {
          const Vec q = splat(rows.query[r][d]);
          for (int w = 0; w < W; ++w) dot[r][w] = fma(q, key[w], dot[r][w]);
        }
      }
      for (int w = 0; w < W; ++w) {
        if constexpr (K == KvType::q8_0) {
          const std::size_t scales = ((base + at) / kKeyBlock + static_cast<std::size_t>(w)) * groups + first / kKvGroup;
          const Vec group_scale = load_half(kv.key_scales + scales * kKeyBlock);
          for (int r = 0; r < R; ++r) score[r][w] = fma(dot[r][w], group_scale, score[r][w]);
        } else {
          for (int r = 0; r < R; ++r) score[r][w] = dot[r][w];
        }
      }
    }
    const Vec wide_scale = splat(scale);
    for (int r = 0; r < R; ++r)
      for (int w = 0; w < W; ++w) store(span.scores[r] + at + static_cast<std::size_t>(w) * kKeyBlock, mul(score[r][w], wide_scale));
  }
  if constexpr (W > 1) score_blocks<R, W / 2, K>(kv, rows, base, at, blocks_end, scale, span);
}

// Turns the scores of one row into exp(score - top), and what was summed before into terms of the new top.
template <int R>
void exponentiate(Rows<R>& rows, int r, std::uint32_t base, std::uint32_t present, std::uint32_t padded_dim, Span<R>& span) {
  const std::uint32_t blocks_end = (present + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
  const std::uint32_t visible = rows.visible[r] > base ? std::min(present, rows.visible[r] - base) : 0;
  float* scores = span.scores[r];
  for (std::uint32_t at = visible; at < blocks_end; ++at) scores[at] = -1e30f;
  const std::uint32_t hidden = rows.first[r] > base ? std::min(blocks_end, rows.first[r] - base) : 0;
  for (std::uint32_t at = 0; at < hidden; ++at) scores[at] = -1e30f;
  Vec largest = splat(rows.top[r]);
  for (std::uint32_t at = 0; at < blocks_end; at += 16) largest = maximum(largest, load(scores + at));
  const float new_top = reduce_max(largest);
  const Vec wide_top = splat(new_top);
  Vec sum = zero();
  for (std::uint32_t at = 0; at < blocks_end; at += 16) {
    const Vec share = exponential(sub(load(scores + at), wide_top));
    sum = add(sum, share);
    store(scores + at, share);
  }
  const float shrink = std::exp(rows.top[r] - new_top);
  rows.total[r] = rows.total[r] * shrink + reduce_add(sum);
  if (new_top == rows.top[r]) return;
  rows.top[r] = new_top;
  const Vec wide_shrink = splat(shrink);
  for (std::uint32_t d = 0; d < padded_dim; d += 16) store(rows.sums[r] + d, mul(load(rows.sums[r] + d), wide_shrink));
}

// sums += shares x values for value columns d .. end, W vectors together. `ahead`: the keys that are scored next.
template <int R, int W, KvType K>
void add_values(const KvView& kv, const void* ahead, std::uint32_t base, std::uint32_t present, std::uint32_t d, std::uint32_t end, const Span<R>& span,
                Rows<R>& rows) {
  using Value = typename Stored<K>::Value;
  for (; d + W * 16 <= end; d += W * 16) {
    Vec sum[R][W];
    for (int r = 0; r < R; ++r)
      for (int w = 0; w < W; ++w) sum[r][w] = load(rows.sums[r] + d + 16 * w);
    const Value* values = static_cast<const Value*>(kv.values) + std::size_t{base} * kv.padded_dim + d;
    for (std::uint32_t at = 0; at < present; ++at, values += kv.padded_dim) {
      Vec value[W];
      for (int w = 0; w < W; ++w) value[w] = in_register(Stored<K>::read(values + 16 * w));
      if (ahead != nullptr) fetch<K>(ahead, std::size_t{d} * present + std::size_t{at} * W * 16);
      for (int r = 0; r < R; ++r) {
        const Vec share = splat(span.scores[r][at]);
        for (int w = 0; w < W; ++w) sum[r][w] = fma(share, value[w], sum[r][w]);
      }
    }
    for (int r = 0; r < R; ++r)
      for (int w = 0; w < W; ++w) store(rows.sums[r] + d + 16 * w, sum[r][w]);
  }
  if constexpr (W > 1) add_values<R, W / 2, K>(kv, ahead, base, present, d, end, span, rows);
}

// The same with the scales of 8-bit values, which go into the shares: one group of columns after the other.
template <int R>
void add_scaled_values(const KvView& kv, const void* ahead, std::uint32_t base, std::uint32_t present, const Span<R>& span, Rows<R>& rows) {
  const std::uint32_t groups = kv_groups(KvType::q8_0, kv.value_dim);
  Span<R> scaled;
  for (std::uint32_t group = 0; group < groups; ++group) {
    for (std::uint32_t at = 0; at < present; at += kKeyBlock) {
      const Vec scale = load_half(kv.value_scales + (std::size_t{(base + at) / kKeyBlock} * groups + group) * kKeyBlock);
      for (int r = 0; r < R; ++r) store(scaled.scores[r] + at, mul(load(span.scores[r] + at), scale));
    }
    const std::uint32_t end = std::min(kv.padded_dim, (group + 1) * kKvGroup);
    add_values<R, std::min(2, kTogether<R>), KvType::q8_0>(kv, ahead, base, present, group * kKvGroup, end, scaled, rows);
  }
}

// Running maximum and sum (online softmax, Milakov & Gimelshein 2018) for R rows of one key-value head. Positions are walked in
// their order; `place` is where they lie, which differs once a ring has wrapped.
template <int R, KvType K>
void attend_rows(const KvView& kv, const AttentionRow* tasks, std::uint32_t count, ScoreRule rule) {
  Rows<R> rows;
  Span<R> span;
  const std::uint32_t padded = kv.padded_dim;
  for (int r = 0; r < R; ++r) {
    const AttentionRow& task = tasks[static_cast<std::uint32_t>(r) < count ? r : 0];  // rows beyond `count` repeat the first
    rows.query[r] = task.query;
    rows.first[r] = task.first;
    rows.visible[r] = task.visible;
    rows.top[r] = task.sink;
    rows.total[r] = task.sink > AttentionRow::kNoSink ? 1.0f : 0.0f;
    clear(rows.sums[r], padded);
  }
  const auto [start, longest] = reach_of(tasks, count);
  std::uint32_t present = 0;
  const auto keys_at = [&](const void* keys, std::uint32_t position) {
    return static_cast<const typename Stored<K>::Value*>(keys) + std::size_t{position % kv.positions} * kv.head_dim;
  };
  const void* const next_head = kv.next_keys == nullptr ? nullptr : keys_at(kv.next_keys, start);
  for (std::uint32_t base = start; base < longest; base += present) {
    const std::uint32_t place = base < kv.positions ? base : base % kv.positions;
    present = std::min({kSpan, longest - base, kv.positions - place});
    const std::uint32_t blocks_end = (present + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
    score_blocks<R, kTogether<R>, K>(kv, rows, place, 0, blocks_end, rule.scale, span);
    for (int r = 0; r < R; ++r) {
      if (rule.soft_cap > 0) soft_cap(span.scores[r], blocks_end, rule.soft_cap);
      exponentiate<R>(rows, r, base, present, padded, span);
    }
    const void* const ahead = base + present < longest ? keys_at(kv.keys, base + present) : next_head;
    if constexpr (K == KvType::q8_0)
      add_scaled_values<R>(kv, ahead, place, present, span, rows);
    else
      add_values<R, kTogether<R>, K>(kv, ahead, place, present, 0, padded, span, rows);
  }
  for (std::uint32_t r = 0; r < count; ++r) finish_row(kv, rows.sums[r], rows.total[r], tasks[r].out);
}

template <KvType K>
void attend_any(const KvView& kv, const AttentionRow* rows, std::uint32_t count, ScoreRule rule) {
  if (count > 4) return attend_rows<8, K>(kv, rows, count, rule);
  if (count > 2) return attend_rows<4, K>(kv, rows, count, rule);
  if (count == 2) return attend_rows<2, K>(kv, rows, count, rule);
  attend_rows<1, K>(kv, rows, count, rule);
}

void attend(const KvView& kv, const AttentionRow* rows, std::uint32_t count, ScoreRule rule) {
  switch (kv.type) {
    case KvType::f32: return attend_any<KvType::f32>(kv, rows, count, rule);
    case KvType::f16: return attend_any<KvType::f16>(kv, rows, count, rule);
    case KvType::q8_0: return attend_any<KvType::q8_0>(kv, rows, count, rule);
  }
}

inline void store_values(float* to, Vec v) { store(to, v); }
inline void store_values(std::uint16_t* to, Vec v) { store_half(to, v); }

template <class Value>
void store_row(const float* row, std::uint32_t count, Value* out) {
  for (std::uint32_t i = 0; i < count; i += 16) store_values(out + i, i + 16 <= count ? load(row + i) : load_part(row + i, count - i));
}

// Levels and scales of one row; the scale is rounded to F16 first, so that levels belong to the scale that is kept.
inline void store_row(const float* row, std::uint32_t count, std::int8_t* levels, std::uint16_t* scales, std::size_t scale_stride) {
  const Vec limit = splat(-127.0f);
  for (std::uint32_t first = 0; first < count; first += kKvGroup) {
    const std::uint32_t present = std::min(kKvGroup, count - first);
    const Half scale = to_half(top_magnitude(row + first, present) / 127.0f);
    scales[first / kKvGroup * scale_stride] = scale.bits;
    const float inverse = to_float(scale) > 0 ? 1.0f / to_float(scale) : 0.0f;
    for (std::uint32_t at = first; at < first + present; at += 16) {
      const Vec x = mul(at + 16 <= count ? load(row + at) : load_part(row + at, count - at), splat(inverse));
      const Vec not_above = sub(zero(), maximum(sub(zero(), x), limit));  // a scale below F16's normal numbers may be rounded far down
      store_rounded(levels + at, maximum(not_above, limit));
    }
  }
}

template <KvType K>
void store_kv_as(const float* key, const float* value, std::uint32_t position, const KvView& kv) {
  using Value = typename Stored<K>::Value;
  Value packed[kMaxHead];
  Value* row = static_cast<Value*>(kv.values) + std::size_t{position} * kv.padded_dim;
  if constexpr (K == KvType::q8_0) {
    const std::size_t block = std::size_t{position / kKeyBlock} * kKeyBlock, in_block = position % kKeyBlock;
    store_row(key, kv.head_dim, packed, kv.key_scales + block * kv_groups(K, kv.head_dim) + in_block, kKeyBlock);
    store_row(value, kv.value_dim, row, kv.value_scales + block * kv_groups(K, kv.value_dim) + in_block, kKeyBlock);
  } else {
    store_row(key, kv.head_dim, packed);
    store_row(value, kv.value_dim, row);
  }
  Value* block = static_cast<Value*>(kv.keys) + std::size_t{position / kKeyBlock} * kKeyBlock * kv.head_dim + position % kKeyBlock;
  for (std::uint32_t d = 0; d < kv.head_dim; ++d) block[std::size_t{d} * kKeyBlock] = packed[d];
}

void store_kv(const float* key, const float* value, std::uint32_t position, const KvView& kv) {
  switch (kv.type) {
    case KvType::f32: return store_kv_as<KvType::f32>(key, value, position, kv);
    case KvType::f16: return store_kv_as<KvType::f16>(key, value, position, kv);
    case KvType::q8_0: return store_kv_as<KvType::q8_0>(key, value, position, kv);
  }
}
