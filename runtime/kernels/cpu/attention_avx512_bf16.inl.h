// Attention of many query rows to one key-value head, for prompts: keys and values of a span are rounded to bfloat16 once, in pairs, and
// serve all rows with two multiply-adds a lane.

constexpr std::uint32_t kRoundedSpan = 64;  // positions: keys and values of 128 dimensions take 32 KB
constexpr int kRowsTogether = 6;
static_assert(kAttentionManyRows % kRowsTogether == 0 && kRoundedSpan == 64 && kMaxHead % 32 == 0);

using Pair = std::uint32_t;  // two bfloat16 that are multiplied together, the first one low

inline __m512i round_pairs(Vec low, Vec high) {
  __m512i out;
  asm("vcvtne2ps2bf16 %2, %1, %0" : "=v"(out) : "v"(high), "v"(low));
  return out;
}
// Two rows of sixteen to sixteen pairs.
inline __m512i pair_rows(Vec first, Vec second) {
  alignas(64) static constexpr auto kOrder = [] {
    std::array<std::uint16_t, 32> order{};
    for (std::size_t i = 0; i < 32; ++i) order[i] = static_cast<std::uint16_t>(i / 2 + 16 * (i % 2));
    return order;
  }();
  return _mm512_permutexvar_epi16(_mm512_load_si512(kOrder.data()), round_pairs(first, second));
}

struct RoundedSpan {
  alignas(64) Pair keys[kMaxHead / 2][kRoundedSpan];      // [dimensions 2i and 2i + 1][position]
  alignas(64) Pair values[kRoundedSpan / 2 * kMaxHead];  // [positions 2i and 2i + 1][width]
};

// Positions place .. place + present, with the block they end in; up to a multiple of 32 they become zero.
inline void round_keys(const KvView& kv, std::uint32_t place, std::uint32_t present, RoundedSpan& span) {
  const std::uint32_t dim = kv.head_dim, end = (present + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
  for (std::uint32_t at = 0; at < end; at += kKeyBlock) {
    const std::uint16_t* block = static_cast<const std::uint16_t*>(kv.keys) + std::size_t{place + at} * dim;
    for (std::uint32_t d = 0; d < dim; d += 2) {
      const Vec first = load_half(block + std::size_t{d} * kKeyBlock), second = d + 1 < dim ? load_half(block + std::size_t{d + 1} * kKeyBlock) : zero();
      _mm512_store_si512(&span.keys[d / 2][at], pair_rows(first, second));
    }
  }
  if (end % 32 != 0)
    for (std::uint32_t d = 0; d < dim; d += 2) _mm512_store_si512(&span.keys[d / 2][end], _mm512_setzero_si512());
}
// `width`: value columns, a multiple of 32; those from padded_dim on become zero.
inline void round_values(const KvView& kv, std::uint32_t place, std::uint32_t present, std::uint32_t width, RoundedSpan& span) {
  const std::uint16_t* row = static_cast<const std::uint16_t*>(kv.values) + std::size_t{place} * kv.padded_dim;
  Pair* to = span.values;
  for (std::uint32_t at = 0; at < present; at += 2, row += 2 * std::size_t{kv.padded_dim}, to += width) {
    for (std::uint32_t d = 0; d < kv.padded_dim; d += 16) {
      const Vec second = at + 1 < present ? load_half(row + kv.padded_dim + d) : zero();  // what lies behind need not be a number
      _mm512_store_si512(to + d, pair_rows(load_half(row + d), second));
    }
    if (width > kv.padded_dim) _mm512_store_si512(to + kv.padded_dim, _mm512_setzero_si512());
  }
}

// `values` floats to pairs; the last one may be half of one.
inline void round_row(const float* from, std::uint32_t values, Pair* to) {
  for (std::uint32_t i = 0; i < values; i += 32) {
    const auto part = [&](std::uint32_t at) { return at + 16 <= values ? load(from + at) : at < values ? load_part(from + at, values - at) : zero(); };
    _mm512_storeu_si512(to + i / 2, round_pairs(part(i), part(i + 16)));
  }
}

// Pairs of six rows times those of 32 columns, `steps` of them. `row_step`, `column_step`: pairs from one row or step to the next;
// `out_step`: floats from one row of results to the next. kAdds: to what is there, times the row's factor, of six; else the results are
// scaled by the one factor.
template <bool kAdds>
[[gnu::noinline]] void multiply_pairs(const Pair* rows, std::size_t row_step, const Pair* columns, std::size_t column_step, std::uint32_t steps, const float* factors, float* out,
                                      std::size_t out_step) {
  Vec low[kRowsTogether], high[kRowsTogether];
#pragma GCC unroll 6
  for (std::size_t r = 0; r < kRowsTogether; ++r) {
    low[r] = kAdds ? mul(load(out + r * out_step), splat(factors[r])) : zero();
    high[r] = kAdds ? mul(load(out + r * out_step + 16), splat(factors[r])) : zero();
  }
#pragma GCC unroll 2
  for (std::uint32_t i = 0; i < steps; ++i, columns += column_step) {
    const __m512i column_low = _mm512_load_si512(columns), column_high = _mm512_load_si512(columns + 16);
#pragma GCC unroll 6
    for (std::size_t r = 0; r < kRowsTogether; ++r) {
      const __m512i x = splat_word(rows + r * row_step + i);
      dot_bfloats(low[r], x, column_low);
      dot_bfloats(high[r], x, column_high);
    }
  }
#pragma GCC unroll 6
  for (std::size_t r = 0; r < kRowsTogether; ++r) {
    store(out + r * out_step, kAdds ? low[r] : mul(low[r], splat(*factors)));
    store(out + r * out_step + 16, kAdds ? high[r] : mul(high[r], splat(*factors)));
  }
}

// Six rows on their way through the cache, as in Rows.
struct RowGroup {
  const AttentionRow* tasks[kRowsTogether];
  std::uint32_t visible;                 // of the row that sees most
  alignas(64) float top[16];             // of six
  float total[kRowsTogether];
  alignas(64) Pair queries[kRowsTogether][kMaxHead / 2];
  alignas(64) float sums[kRowsTogether][kMaxHead];
};

// Which of `present` positions from `base` on a row sees.
inline std::uint64_t seen_positions(const AttentionRow& task, std::uint32_t base, std::uint32_t present) {
  const auto below = [base](std::uint32_t position) { return position <= base ? 0 : _bzhi_u64(~std::uint64_t{0}, std::min(position - base, 64u)); };
  return below(std::min(task.visible, base + present)) & ~below(task.first);
}

// Scores of a span to shares, exp(score - top). What was summed before belongs to the old top: `shrink` brings it to the new one.
[[gnu::noinline]] inline void share_out(RowGroup& group, std::uint32_t base, std::uint32_t present, float (&scores)[kRowsTogether][kRoundedSpan],
                                        Pair (&shares)[kRowsTogether][kRoundedSpan / 2], float (&shrink)[16]) {
  constexpr int kParts = kRoundedSpan / 16;
  alignas(64) float tops[16] = {};
  for (int r = 0; r < kRowsTogether; ++r) {
    const std::uint64_t seen = seen_positions(*group.tasks[r], base, present);
    Vec largest = splat(group.top[r]);
    for (int part = 0; part < kParts; ++part) {
      const Vec score = _mm512_mask_mov_ps(splat(-1e30f), static_cast<__mmask16>(seen >> (16 * part)), load(scores[r] + 16 * part));
      store(scores[r] + 16 * part, score);
      largest = maximum(largest, score);
    }
    tops[r] = reduce_max(largest);
  }
  store(shrink, exponential(sub(load(group.top), load(tops))));
  store(group.top, load(tops));
  for (int r = 0; r < kRowsTogether; ++r) {
    Vec share[kParts];
    for (int part = 0; part < kParts; ++part) share[part] = exponential(sub(load(scores[r] + 16 * part), splat(tops[r])));
    for (int part = 0; part < kParts; part += 2) _mm512_store_si512(shares[r] + 8 * part, round_pairs(share[part], share[part + 1]));
    group.total[r] = group.total[r] * shrink[r] + reduce_add(add(add(share[0], share[1]), add(share[2], share[3])));
  }
}

void attend_many(const KvView& kv, const AttentionRow* tasks, std::uint32_t count, ScoreRule rule) {
  RowGroup groups[kAttentionManyRows / kRowsTogether];
  RoundedSpan rounded;
  const std::uint32_t used = (count + kRowsTogether - 1) / kRowsTogether, width = (kv.padded_dim + 31) / 32 * 32;
  for (std::uint32_t g = 0; g < used; ++g) {
    RowGroup& group = groups[g];
    group.visible = 0;
    store(group.top, zero());
    for (std::uint32_t r = 0; r < kRowsTogether; ++r) {
      const std::uint32_t at = g * kRowsTogether + r;
      const AttentionRow& task = tasks[at < count ? at : 0];  // rows beyond `count` repeat the first
      group.tasks[r] = &task;
      group.visible = std::max(group.visible, task.visible);
      group.top[r] = task.sink;
      group.total[r] = task.sink > AttentionRow::kNoSink ? 1.0f : 0.0f;
      clear(group.sums[r], width);
      round_row(task.query, kv.head_dim, group.queries[r]);
    }
  }
  const auto [start, longest] = reach_of(tasks, count);
  std::uint32_t present = 0;
  for (std::uint32_t base = start; base < longest; base += present) {
    const std::uint32_t place = base < kv.positions ? base : base % kv.positions;
    present = std::min({kRoundedSpan, longest - base, kv.positions - place});
    round_keys(kv, place, present, rounded);
    round_values(kv, place, present, width, rounded);
    for (std::uint32_t g = 0; g < used; ++g) {
      RowGroup& group = groups[g];
      if (group.visible <= base) continue;
      alignas(64) float scores[kRowsTogether][kRoundedSpan], shrink[16];
      alignas(64) Pair shares[kRowsTogether][kRoundedSpan / 2];
      const std::uint32_t seen = std::min(present, group.visible - base);
      for (std::uint32_t at = 0; at < seen; at += 32)
        multiply_pairs<false>(group.queries[0], kMaxHead / 2, &rounded.keys[0][at], kRoundedSpan, (kv.head_dim + 1) / 2, &rule.scale, scores[0] + at, kRoundedSpan);
      if (rule.soft_cap > 0)
        for (float* row : scores) soft_cap(row, seen, rule.soft_cap);
      share_out(group, base, present, scores, shares, shrink);
      for (std::uint32_t d = 0; d < width; d += 32)
        multiply_pairs<true>(shares[0], kRoundedSpan / 2, rounded.values + d, width, (seen + 1) / 2, shrink, group.sums[0] + d, kMaxHead);
    }
  }
  for (std::uint32_t r = 0; r < count; ++r) {
    const RowGroup& group = groups[r / kRowsTogether];
    finish_row(kv, group.sums[r % kRowsTogether], group.total[r % kRowsTogether], tasks[r].out);
  }
}
