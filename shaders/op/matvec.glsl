// A few inputs times rows of a weight: every weight is read once for all kColumns inputs; kRows rows share the inputs' loads.
// Or matrices of a table, one input at a time: experts that a token chose, or a matrix for each head.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint kColumns = 1;
layout(constant_id = 2) const uint kRows = 1;
layout(constant_id = 3) const bool kAdd = false;
layout(constant_id = 4) const uint kMostSubgroups = 16;
layout(constant_id = 5) const uint kTable = 0;  // 0: one matrix; 1: y is a token and z its part; 2: y is a token, whose parts are weighted and added up;
                                                // 3: as 1, with two matrices for each, whose results are a gate and an up
layout(constant_id = 6) const bool kChosen = false;  // `extra` says which matrix a part takes and with what weight, else its own

layout(constant_id = 7) const uint kGate = 0;  // see activation.glsl
#include "activation.glsl"

const uint kSums = kRows * kColumns;
const uint kEach = kTable == 3 ? 2 : 1;  // matrices of a choice
shared float partial[2 * kMostSubgroups * kSums];

layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Choices { uvec2 at[]; };  // {matrix, weight}

// Sums of kRows rows with kColumns inputs, added to `sums`.
void multiply(Row rows[kRows], uint64_t inputs, float weight, inout float sums[kSums]) {
  const uint units = (p.cols + 15) / 16;
  for (uint unit = gl_LocalInvocationID.x; unit < units; unit += gl_WorkGroupSize.x) {
    const uvec2 octets = octets_of_unit(unit);
    vec4 weights[kRows * 4];
    [[unroll]] for (uint r = 0; r < kRows; ++r) {
      const Row row = rows[r];
#ifdef F_VALUES
      values_of_octet(row, octets.x, weights[r * 4], weights[r * 4 + 1]);
      values_of_octet(row, octets.y, weights[r * 4 + 2], weights[r * 4 + 3]);
#else
      const uvec4 levels = levels_of_unit(row, unit);
      const vec2 a = affine_of_octet(row, octets.x), b = affine_of_octet(row, octets.y);
      weights[r * 4] = (bytes_of(levels.x) - float(F_BIAS)) * a.x + a.y;
      weights[r * 4 + 1] = (bytes_of(levels.y) - float(F_BIAS)) * a.x + a.y;
      weights[r * 4 + 2] = (bytes_of(levels.z) - float(F_BIAS)) * b.x + b.y;
      weights[r * 4 + 3] = (bytes_of(levels.w) - float(F_BIAS)) * b.x + b.y;
#endif
    }
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      const uint64_t from = inputs + 4 * uint64_t(c) * p.from_stride;
      Vectors a = Vectors(from + 32 * octets.x), b = Vectors(from + 32 * octets.y);
      const vec4 x0 = a.at[0], x1 = a.at[1], x2 = b.at[0], x3 = b.at[1];
      [[unroll]] for (uint r = 0; r < kRows; ++r)
        sums[c * kRows + r] += weight * (dot(weights[r * 4], x0) + dot(weights[r * 4 + 1], x1) + dot(weights[r * 4 + 2], x2) + dot(weights[r * 4 + 3], x3));
    }
  }
}

float bias_in_table(uint matrix, uint row) { return Floats(Matrices(p.weights + 32 * uint64_t(matrix)).at[3]).at[row]; }
uvec2 choice_of(uint token, uint part) {
  return kChosen ? Choices(p.extra + 8 * (uint64_t(token) * p.parts + part)).at[0] : uvec2(part, 0x3f800000u);
}

void main() {
  const uint first_row = (gl_WorkGroupID.x + (kTable == 0 ? gl_WorkGroupID.y * gl_NumWorkGroups.x : 0)) * kRows;
  if (first_row >= p.rows) return;
  const uint token = gl_WorkGroupID.y, first_part = gl_WorkGroupID.z, end_part = kTable == 2 ? p.parts : first_part + 1;
  float sums[kSums], ups[kSums];
  [[unroll]] for (uint i = 0; i < kSums; ++i) sums[i] = ups[i] = 0;

  Row rows[kRows];
  if (kTable == 0) {
    [[unroll]] for (uint r = 0; r < kRows; ++r) rows[r] = row_of(min(first_row + r, p.rows - 1));
    multiply(rows, p.from, 1.0, sums);
  } else {
    for (uint part = first_part; part < end_part; ++part) {
      const uvec2 choice = choice_of(token, part);
      [[unroll]] for (uint r = 0; r < kRows; ++r) rows[r] = row_in_table(choice.x * kEach, min(first_row + r, p.rows - 1));
      const uint64_t from = p.from + 4 * (uint64_t(token) * p.from_stride + part * p.from_part);
      multiply(rows, from, kTable == 2 ? uintBitsToFloat(choice.y) : 1.0, sums);
      if (kTable == 3) {
        [[unroll]] for (uint r = 0; r < kRows; ++r) rows[r] = row_in_table(choice.x * kEach + 1, min(first_row + r, p.rows - 1));
        multiply(rows, from, 1.0, ups);
      }
    }
  }

  [[unroll]] for (uint i = 0; i < kSums; ++i) {
    const float sum = subgroupAdd(sums[i]);
    if (subgroupElect()) partial[gl_SubgroupID * kSums + i] = sum;
    if (kTable == 3) {
      const float up = subgroupAdd(ups[i]);
      if (subgroupElect()) partial[(kMostSubgroups + gl_SubgroupID) * kSums + i] = up;
    }
  }
  barrier();
  const uint64_t out_row = p.to + (kTable == 0 ? 0 : 4 * (uint64_t(token) * p.to_stride + first_part * p.to_part));
  for (uint i = gl_LocalInvocationID.x; i < kSums; i += gl_WorkGroupSize.x) {
    float sum = 0;
    for (uint s = 0; s < gl_NumSubgroups; ++s) sum += partial[s * kSums + i];
    const uint column = i / kRows, row = first_row + i % kRows;
    if (row >= p.rows) continue;
    if (p.bias != 0) {
      if (kTable == 0) sum += Floats(p.bias).at[row];
      for (uint part = first_part; kTable != 0 && part < end_part; ++part) {
        const uvec2 choice = choice_of(token, part);
        sum += (kTable == 2 ? uintBitsToFloat(choice.y) : 1.0) * bias_in_table(choice.x * kEach, row);
      }
    }
    if (kTable == 3) {
      float up = 0;
      for (uint s = 0; s < gl_NumSubgroups; ++s) up += partial[(kMostSubgroups + s) * kSums + i];
      if (p.bias != 0) up += bias_in_table(choice_of(token, first_part).x * kEach + 1, row);
      sum = gated(kGate, sum, up);
    }
    Floats to = Floats(out_row + 4 * (uint64_t(column) * p.to_stride + row));
    to.at[0] = kAdd ? to.at[0] + sum : sum;
  }
  if (kTable == 1 && first_row == 0 && p.rest > 0) {
    Floats from = Floats(p.from + 4 * (uint64_t(token) * p.from_stride + first_part * p.from_part + p.cols));
    for (uint i = gl_LocalInvocationID.x; i < p.rest; i += gl_WorkGroupSize.x) Floats(out_row + 4 * (p.rows + i)).at[0] = from.at[i];
  }
}
