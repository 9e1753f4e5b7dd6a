// RMS norm (Zhang & Sennrich 2019) or LayerNorm of rows, or of the first values of each head of a row; in place or not.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const bool kLayer = false;  // LayerNorm: the mean is taken away first
layout(push_constant, std430) uniform Push {
  uint64_t from;
  uint64_t to;
  uint64_t weight;  // [cols] floats
  uint64_t bias;    // [cols] floats, or 0
  uint from_stride, to_stride;  // values between tokens
  uint heads;                   // parts of a row that are normed by themselves
  uint head_stride;             // values between them
  uint cols;
  float epsilon;
} p;
shared float partial[64];

// The sum of a value over all threads of the workgroup.
float sum_of(float value) {
  const float sum = subgroupAdd(value);
  barrier();
  if (subgroupElect()) partial[gl_SubgroupID] = sum;
  barrier();
  float whole = 0;
  for (uint s = 0; s < gl_NumSubgroups; ++s) whole += partial[s];
  return whole;
}

void main() {
  const uint token = gl_WorkGroupID.x / p.heads, head = gl_WorkGroupID.x % p.heads;
  Floats from = Floats(p.from + 4 * (uint64_t(token) * p.from_stride + head * p.head_stride));
  Floats to = Floats(p.to + 4 * (uint64_t(token) * p.to_stride + head * p.head_stride));
  float mean = 0;
  if (kLayer) {
    float sum = 0;
    for (uint i = gl_LocalInvocationID.x; i < p.cols; i += gl_WorkGroupSize.x) sum += from.at[i];
    mean = sum_of(sum) / float(p.cols);
  }
  float squares = 0;
  for (uint i = gl_LocalInvocationID.x; i < p.cols; i += gl_WorkGroupSize.x) {
    const float x = from.at[i] - mean;
    squares += x * x;
  }
  const float scale = 1.0 / sqrt(sum_of(squares) / float(p.cols) + p.epsilon);
  for (uint i = gl_LocalInvocationID.x; i < p.cols; i += gl_WorkGroupSize.x) {
    const float x = (from.at[i] - mean) * scale * Floats(p.weight).at[i];
    to.at[i] = p.bias != 0 ? x + Floats(p.bias).at[i] : x;
  }
}
