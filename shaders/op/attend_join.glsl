// Joins the parts of a split attention: one head of one token a workgroup.
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
  uint64_t from;  // see attend.glsl
  uint64_t to;    // [tokens][to_stride]
  uint to_stride;
  uint heads;
  uint dim;
  uint splits;
} p;

void main() {
  const uint head = gl_WorkGroupID.x, token = gl_WorkGroupID.y, width = p.dim + 2;
  Floats parts = Floats(p.from + 4 * ((uint64_t(token) * p.heads + head) * p.splits) * width);
  float largest = -3.0e38;
  for (uint s = 0; s < p.splits; ++s) largest = max(largest, parts.at[s * width + p.dim]);
  for (uint i = gl_LocalInvocationID.x; i < p.dim; i += gl_WorkGroupSize.x) {
    float sum = 0, weight = 0;
    for (uint s = 0; s < p.splits; ++s) {
      if (parts.at[s * width + p.dim + 1] == 0) continue;
      const float factor = exp(parts.at[s * width + p.dim] - largest);
      sum += parts.at[s * width + i] * factor;
      weight += parts.at[s * width + p.dim + 1] * factor;
    }
    Floats(p.to + 4 * (uint64_t(token) * p.to_stride + head * p.dim + i)).at[0] = sum / weight;
  }
}
