// Attention of many query rows to one key-value head, for prompts: keys and values of a span are rounded to bfloat16 once, in pairs, and
// serve all rows with two multiply-adds a lane.

constexpr std::uint32_t kRoundedSpan = 64;  // positions: keys and values of 128 dimensions take two thirds of the first cache level
constexpr int kRowsTogether = 6;
constexpr int kManyRows = kAttentionManyRows;
static_assert(kManyRows % kRowsTogether == 0 && kRoundedSpan <= kSpan && kMaxHead % 32 == 0);

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

// Positions place .. place + end; up to a multiple of 32 they become zero.
inline void round_keys(const KvView& kv, std::uint32_t place, std::uint32_t end, RoundedSpan& span) {
  const std::uint32_t dim = kv.head_dim;
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

// Pairs of six rows times those of 32 columns, `steps` of them. `row_step`, `column_step`: pairs from one row or step to the next;
// `out_step`: floats from one row of results to the next. Adds: to what is there; else the results are scaled.
template <bool kAdds>
[[gnu::noinline]] void multiply_pairs(const Pair* rows, std::size_t row_step, const Pair* columns, std::size_t column_step, std::uint32_t steps, float scale, float* out,
                                      std::size_t out_step) {
  Vec low[kRowsTogether], high[kRowsTogether];
#pragma GCC unroll 6
  for (std::size_t r = 0; r < kRowsTogether; ++r) {
    low[r] = kAdds ? load(out + r * out_step) : zero();
    high[r] = kAdds ? load(out + r * out_step + 16) : zero();
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
  const Vec factor = splat(scale);
#pragma GCC unroll 6
  for (std::size_t r = 0; r < kRowsTogether; ++r) {
    store(out + r * out_step, kAdds ? low[r] : mul(low[r], factor));
    store(out + r * out_step + 16, kAdds ? high[r] : mul(high[r], factor));
  }
}

struct ManyRows {
  Rows<kManyRows> rows;
  Span<kManyRows> span;
  alignas(64) Pair queries[kManyRows][kMaxHead / 2];
  alignas(64) Pair shares[kManyRows][kRoundedSpan / 2];
  RoundedSpan rounded;
};

// `values` floats to pairs; the last one may be half of one.
inline void round_row(const float* from, std::uint32_t values, Pair* to) {
  for (std::uint32_t i = 0; i < values; i += 32) {
    const auto part = [&](std::uint32_t at) { return at + 16 <= values ? load(from + at) : at < values ? load_part(from + at, values - at) : zero(); };
    _mm512_storeu_si512(to + i / 2, round_pairs(part(i), part(i + 16)));
  }
}

void attend_many(const KvView& kv, const AttentionRow* tasks, std::uint32_t count, ScoreRule rule) {
  ManyRows many;
  auto& rows = many.rows;
  const std::uint32_t used = (count + kRowsTogether - 1) / kRowsTogether * kRowsTogether;
  const std::uint32_t width = (kv.padded_dim + 31) / 32 * 32;
  begin_rows(tasks, count, used, width, rows);
  const auto [start, longest] = reach_of(tasks, count);
  for (std::uint32_t r = 0; r < used; ++r) round_row(rows.query[r], kv.head_dim, many.queries[r]);
  std::uint32_t present = 0;
  for (std::uint32_t base = start; base < longest; base += present) {
    const std::uint32_t place = base < kv.positions ? base : base % kv.positions;
    present = std::min({kRoundedSpan, longest - base, kv.positions - place});
    const std::uint32_t blocks_end = (present + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
    round_keys(kv, place, blocks_end, many.rounded);
    round_values(kv, place, present, width, many.rounded);
    for (std::uint32_t r = 0; r < used; r += kRowsTogether) {
      for (std::uint32_t at = 0; at < blocks_end; at += 32)
        multiply_pairs<false>(many.queries[r], kMaxHead / 2, &many.rounded.keys[0][at], kRoundedSpan, (kv.head_dim + 1) / 2, rule.scale, many.span.scores[r] + at, kSpan);
      for (std::uint32_t i = r; i < r + kRowsTogether; ++i) {
        if (rule.soft_cap > 0) soft_cap(many.span.scores[i], blocks_end, rule.soft_cap);
        exponentiate(rows, static_cast<int>(i), base, present, width, many.span);
        round_row(many.span.scores[i], present, many.shares[i]);
      }
      for (std::uint32_t d = 0; d < width; d += 32)
        multiply_pairs<true>(many.shares[r], kRoundedSpan / 2, many.rounded.values + d, width, (present + 1) / 2, 1, rows.sums[r] + d, kMaxHead);
    }
  }
  end_rows(kv, tasks, count, rows);
}
