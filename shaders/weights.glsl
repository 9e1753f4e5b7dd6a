// Weights of one format as values: octets of a row, by the macros and functions of fmt/<format>.glsl, bit for bit as runtime/quant does.
//
// A format defines F_BLOCK, F_BYTES, F_ALIGN and one of three kinds:
//   levels   F_GROUP, F_BIAS, F_MAX_LEVEL, maybe F_HAS_OFFSET; levels8(block, octet) packs eight unsigned levels, or, where two runs
//            of values F_PAIR apart share bytes, pair(block, index) gives both; affine(block, group) is {scale, offset}
//   levels + F_SIDE       the same, with {scale, offset} in streams of their own, one for p.group values of a row
//   values   F_VALUES: value(row, column) as stored, times a scale where F_SCALED
layout(push_constant, std430) uniform Push {
  uint64_t weights;   // [rows] of row_bytes
  uint64_t scales;    // side formats: see SideScales
  uint64_t biases;
  uint64_t tables;    // see tables.h
  uint64_t from;      // op's input
  uint64_t to;        // op's output
  uint64_t extra;     // op's second input
  uint64_t bias;      // of each row, or 0
  uint rows;          // of the matrix
  uint cols;
  uint row_bytes;
  uint group;         // values to a scale
  uint group_rows;    // rows to a scale
  uint count;         // inputs: tokens
  uint from_stride;   // values between two inputs
  uint to_stride;     // values between two outputs
  // Where there is a table of matrices, `weights` is its address: each token has `parts` of them.
  uint parts;
  uint from_part;     // values between the inputs of two parts
  uint to_part;       // values between their outputs
  uint rest;          // values behind a part's input that are copied behind its output
} p;
layout(constant_id = 10) const uint kSideFormat = 0;  // 0: F32, 1: F16, 2: BF16, 3: E8M0
layout(constant_id = 11) const bool kHasSide = false;
layout(constant_id = 12) const bool kAligned = false;  // element formats: rows are whole pairs of octets at addresses of 16 bytes

#if F_ALIGN == 4
#define word_at word_aligned4
#elif F_ALIGN == 2
#define word_at word_aligned2
#else
#define word_at word_aligned1
#endif
uvec2 words_at(uint64_t address) { return uvec2(word_at(address), word_at(address + 4)); }

float side_value(uint64_t stream, uint64_t index) {
  if (kSideFormat == 0) return Floats(stream + index * 4).at[0];
  if (kSideFormat == 1) return half_at(stream + index * 2);
  if (kSideFormat == 2) return uintBitsToFloat(short_at(stream + index * 2) << 16);
  const uint code = byte_at(stream + index);
  return uintBitsToFloat(code == 255u ? 0x7fc00000u : code == 0u ? 0x00400000u : code << 23);
}

struct Row {
  uint64_t data, scales, biases;
  uint index;
};
Row row_of(uint index) { return Row(p.weights + uint64_t(index) * p.row_bytes, p.scales, p.biases, index); }
// A table of matrices: of each the addresses of weights, scales and biases, and of a bias for each row.
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Matrices { uint64_t at[]; };
Row row_in_table(uint matrix, uint index) {
  Matrices addresses = Matrices(p.weights + 32 * uint64_t(matrix));
  return Row(addresses.at[0] + uint64_t(index) * p.row_bytes, addresses.at[1], addresses.at[2], index);
}

#include "format.glsl"

#ifndef F_VALUES
#define F_OCTETS (F_BLOCK / 8)
#ifdef F_PAIR
#define F_RUN (F_PAIR / 8)
#define F_UNITS (F_BLOCK / 16)
uvec2 octets_of_unit(uint unit) {
  const uint at = unit % F_UNITS, first = unit / F_UNITS * F_OCTETS + at / F_RUN * (2 * F_RUN) + at % F_RUN;
  return uvec2(first, first + F_RUN);
}
uvec4 levels_of_unit(Row row, uint unit) { return pair(row.data + uint64_t(unit / F_UNITS) * F_BYTES, unit % F_UNITS); }
uvec2 levels_of_octet(Row row, uint octet) {
  const uint at = octet % F_OCTETS;
  const uvec4 both = pair(row.data + uint64_t(octet / F_OCTETS) * F_BYTES, at / (2 * F_RUN) * F_RUN + at % F_RUN);
  return at % (2 * F_RUN) < F_RUN ? both.xy : both.zw;
}
#else
uvec2 octets_of_unit(uint unit) { return uvec2(2 * unit, 2 * unit + 1); }
uvec2 levels_of_octet(Row row, uint octet) { return levels8(row.data + uint64_t(octet / F_OCTETS) * F_BYTES, octet % F_OCTETS); }
uvec4 levels_of_unit(Row row, uint unit) { return uvec4(levels_of_octet(row, 2 * unit), levels_of_octet(row, 2 * unit + 1)); }
#endif

vec2 affine_of_octet(Row row, uint octet) {
#ifdef F_SIDE
  const uint64_t index = uint64_t(row.index) * (p.cols / p.group) + octet * 8 / p.group;
  return vec2(side_value(row.scales, index), side_value(row.biases, index));
#else
  return affine(row.data + uint64_t(octet / F_OCTETS) * F_BYTES, octet % F_OCTETS / (F_GROUP / 8));
#endif
}

// Products and sums are rounded one by one, as the published decoders do.
void values_of_octet(Row row, uint octet, out precise vec4 low, out precise vec4 high) {
  const uvec2 levels = levels_of_octet(row, octet);
  const vec2 a = affine_of_octet(row, octet);
  low = a.x * (bytes_of(levels.x) - float(F_BIAS));
  high = a.x * (bytes_of(levels.y) - float(F_BIAS));
#ifdef F_HAS_OFFSET
  low = low + a.y;
  high = high + a.y;
#endif
}
#else
uvec2 octets_of_unit(uint unit) { return uvec2(2 * unit, 2 * unit + 1); }
float scale_of(Row row, uint column) {
#ifdef F_FLAT_GROUPS
  return side_value(row.scales, (uint64_t(row.index) * p.cols + column) / p.group);
#elif defined(F_SCALED)
  if (!kHasSide) return 1.0;
  if (p.group == 0) return side_value(row.scales, 0);
  return side_value(row.scales, uint64_t(row.index / p.group_rows) * ((p.cols + p.group - 1) / p.group) + column / p.group);
#else
  return 1.0;
#endif
}
// Columns beyond the row are 0.
void values_of_octet(Row row, uint octet, out precise vec4 low, out precise vec4 high) {
#ifdef F_VECTOR
  if (kAligned) {
    vector8(row.data, octet, low, high);
    return;
  }
#endif
  float values[8];
  [[unroll]] for (uint i = 0; i < 8; ++i) {
    const uint column = octet * 8 + i;
    precise float stored = 0;
    if (column < p.cols) {
      stored = value(row.data, column);
#ifdef F_SCALED
      stored = stored * scale_of(row, column);
#endif
    }
    values[i] = stored;
  }
  low = vec4(values[0], values[1], values[2], values[3]);
  high = vec4(values[4], values[5], values[6], values[7]);
}
#endif
