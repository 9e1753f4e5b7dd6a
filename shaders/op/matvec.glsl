// A few inputs times rows of a weight: every weight is read once for all kColumns inputs; kRows rows share the inputs' loads.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint kColumns = 1;
layout(constant_id = 2) const uint kRows = 1;
layout(constant_id = 3) const bool kAdd = false;
layout(constant_id = 4) const uint kMostSubgroups = 16;

shared float partial[kMostSubgroups * kColumns * kRows];

void main() {
  const uint first_row = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * kRows;
  if (first_row >= p.rows) return;
  float sums[kRows * kColumns];
  [[unroll]] for (uint i = 0; i < kRows * kColumns; ++i) sums[i] = 0;

  const uint units = (p.cols + 15) / 16;
  for (uint unit = gl_LocalInvocationID.x; unit < units; unit += gl_WorkGroupSize.x) {
    const uvec2 octets = octets_of_unit(unit);
    vec4 weights[kRows * 4];
    [[unroll]] for (uint r = 0; r < kRows; ++r) {
      const Row row = row_of(min(first_row + r, p.rows - 1));
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
      const uint64_t from = p.from + 4 * uint64_t(c) * p.from_stride;
      Vectors a = Vectors(from + 32 * octets.x), b = Vectors(from + 32 * octets.y);
      const vec4 x0 = a.at[0], x1 = a.at[1], x2 = b.at[0], x3 = b.at[1];
      [[unroll]] for (uint r = 0; r < kRows; ++r)
        sums[c * kRows + r] += dot(weights[r * 4], x0) + dot(weights[r * 4 + 1], x1) + dot(weights[r * 4 + 2], x2) + dot(weights[r * 4 + 3], x3);
    }
  }

  [[unroll]] for (uint i = 0; i < kRows * kColumns; ++i) {
    const float sum = subgroupAdd(sums[i]);
    if (subgroupElect()) partial[gl_SubgroupID * kRows * kColumns + i] = sum;
  }
  barrier();
  for (uint i = gl_LocalInvocationID.x; i < kRows * kColumns; i += gl_WorkGroupSize.x) {
    float sum = 0;
    for (uint s = 0; s < gl_NumSubgroups; ++s) sum += partial[s * kRows * kColumns + i];
    const uint column = i / kRows, row = first_row + i % kRows;
    if (row >= p.rows) continue;
    if (p.bias != 0) sum += Floats(p.bias).at[row];
    Floats to = Floats(p.to + 4 * (uint64_t(column) * p.to_stride + row));
    to.at[0] = kAdd ? to.at[0] + sum : sum;
  }
}
