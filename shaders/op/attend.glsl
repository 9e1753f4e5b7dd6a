// Attention in one pass over the cache (online softmax): some query rows of one key-value head, over one part of the positions.
#include "kv.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint kDim = 128;       // values of a key
layout(constant_id = 2) const uint kRows = 4;        // query rows at once
layout(constant_id = 3) const uint kTile = 32;       // positions at once
layout(constant_id = 4) const uint kOwned = 4;       // results of a thread: ceil(kRows * kValueDim / threads)
layout(constant_id = 5) const uint kValueDim = 128;  // values of a value, at most kDim
layout(constant_id = 6) const uint kValueStride = 128;  // between values in the cache: more than kValueDim where they are parts of keys
layout(push_constant, std430) uniform Push {
  uint64_t query;        // [tokens][query_stride]
  uint64_t keys, values; // of this layer, see kv.glsl
  uint64_t key_scales, value_scales;
  uint64_t to;           // one split: [tokens][to_stride]; more: [tokens][heads][splits][kValueDim + 2], results, maximum and sum
  uint64_t pieces;       // [x] of {first token, first row, rows, sequence, position of the segment's first token}
  uint64_t sinks;        // [heads], or 0
  uint query_stride, to_stride;
  uint heads, kv_heads;
  uint positions;        // that the cache holds, round and round
  uint splits;
  uint window;           // positions visible; 0: all
  float scale;
  float soft_cap;        // 0: none
} p;
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Pieces { uint at[8]; };

shared float queries[kRows * kDim];
shared float tile[kTile * (kDim + 1)];
shared float scores[kRows * kTile];
shared float row_max[kRows], row_sum[kRows], row_factor[kRows];

const float kLeast = -3.0e38;  // below any score; stands for minus infinity

// A place in the cache at most one round too far.
uint around(uint place) { return place < p.positions ? place : place - p.positions; }

void main() {
  const uint thread = gl_LocalInvocationID.x, threads = gl_WorkGroupSize.x, kv_head = gl_WorkGroupID.y, split = gl_WorkGroupID.z;
  Pieces piece = Pieces(p.pieces + 32 * gl_WorkGroupID.x);
  const uint first_token = piece.at[0], first_row = piece.at[1], rows = piece.at[2], sequence = piece.at[3], start = piece.at[4];
  const uint group = p.heads / p.kv_heads;

  for (uint i = thread; i < kRows * kDim; i += threads) {
    const uint row = min(i / kDim, rows - 1), token = first_token + (first_row + row) / group, head = kv_head * group + (first_row + row) % group;
    queries[i] = Floats(p.query + 4 * (uint64_t(token) * p.query_stride + head * kDim + i % kDim)).at[0] * p.scale;
  }
  for (uint row = thread; row < kRows; row += threads) {
    const bool sinks = p.sinks != 0 && split == 0;
    row_max[row] = sinks ? Floats(p.sinks).at[kv_head * group + (first_row + row) % group] : kLeast;
    row_sum[row] = sinks ? 1 : 0;
  }
  float owned[kOwned];
  [[unroll]] for (uint i = 0; i < kOwned; ++i) owned[i] = 0;

  // Positions that any of the rows sees, and this split's share of them in whole tiles.
  const uint first_seen = start + first_row / group + 1, last_seen = start + (first_row + rows - 1) / group + 1;
  const uint begin_all = p.window != 0 && first_seen > p.window ? first_seen - p.window : 0;
  const uint tiles = (last_seen - begin_all + kTile - 1) / kTile, share = (tiles + p.splits - 1) / p.splits;
  const uint begin = begin_all + split * share * kTile, end = min(last_seen, begin + share * kTile);
  const uint64_t head_start = (uint64_t(sequence) * p.kv_heads + kv_head) * p.positions;

  for (uint first = begin; first < end; first += kTile) {
    const uint count = min(kTile, end - first), origin = first % p.positions;
    barrier();
    for (uint i = thread; i < count * kDim; i += threads) {
      const uint64_t place = head_start + around(origin + i / kDim);
      tile[i / kDim * (kDim + 1) + i % kDim] = kv_value(p.keys + place * kv_bytes(kDim), p.key_scales + place * ((kDim + 31) / 32) * 2, i % kDim);
    }
    barrier();
    for (uint i = thread; i < kRows * kTile; i += threads) {
      const uint row = i / kTile, at = i % kTile, seen = start + (first_row + row) / group + 1, position = first + at;
      float score = kLeast;
      if (at < count && position < seen && (p.window == 0 || position + p.window >= seen)) {
        score = 0;
        for (uint k = 0; k < kDim; ++k) score += queries[row * kDim + k] * tile[at * (kDim + 1) + k];
        if (p.soft_cap > 0) score = p.soft_cap * (1.0 - 2.0 / (exp(2.0 * score / p.soft_cap) + 1.0));
      }
      scores[i] = score;
    }
    barrier();
    for (uint row = thread; row < kRows; row += threads) {
      float largest = row_max[row];
      for (uint at = 0; at < count; ++at) largest = max(largest, scores[row * kTile + at]);
      const float factor = row_max[row] == kLeast ? 0.0 : exp(row_max[row] - largest);
      float sum = row_sum[row] * factor;
      for (uint at = 0; at < count; ++at) {
        const float score = scores[row * kTile + at], share_of = score == kLeast ? 0.0 : exp(score - largest);
        scores[row * kTile + at] = share_of;
        sum += share_of;
      }
      row_max[row] = largest;
      row_sum[row] = sum;
      row_factor[row] = factor;
    }
    for (uint i = thread; i < count * kValueDim; i += threads) {
      const uint64_t place = head_start + around(origin + i / kValueDim);
      tile[i / kValueDim * (kDim + 1) + i % kValueDim] = kv_value(p.values + place * kv_bytes(kValueStride), p.value_scales + place * ((kValueStride + 31) / 32) * 2, i % kValueDim);
    }
    barrier();
    [[unroll]] for (uint o = 0; o < kOwned; ++o) {
      const uint i = thread + o * threads;
      if (i >= kRows * kValueDim) break;
      const uint row = i / kValueDim, k = i % kValueDim;
      float sum = owned[o] * row_factor[row];
      for (uint at = 0; at < count; ++at) sum += scores[row * kTile + at] * tile[at * (kDim + 1) + k];
      owned[o] = sum;
    }
  }
  barrier();

  [[unroll]] for (uint o = 0; o < kOwned; ++o) {
    const uint i = thread + o * threads, row = i / kValueDim;
    if (row >= rows) break;
    const uint token = first_token + (first_row + row) / group, head = kv_head * group + (first_row + row) % group;
    if (p.splits == 1) {
      Floats(p.to + 4 * (uint64_t(token) * p.to_stride + head * kValueDim + i % kValueDim)).at[0] = owned[o] / row_sum[row];
      continue;
    }
    Floats to = Floats(p.to + 4 * ((uint64_t(token) * p.heads + head) * p.splits + split) * (kValueDim + 2));
    to.at[i % kValueDim] = owned[o];
    if (i % kValueDim == 0) {
      to.at[kValueDim] = row_max[row];
      to.at[kValueDim + 1] = row_sum[row];
    }
  }
}
