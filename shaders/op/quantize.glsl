// Inputs of integer products: 32 values become signed bytes under one scale, with the sums of the first and last 16 levels beside it.
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
  uint64_t from;    // [tokens][stride] floats
  uint64_t levels;  // [tokens][stride] bytes
  uint64_t facts;   // [tokens][stride / 32] of {scale, sum, sum, 0}
  uint stride;      // a multiple of 32
  uint cols;        // values beyond are 0
} p;

void main() {
  const uint group = gl_GlobalInvocationID.x, groups = p.stride / 32, token = gl_WorkGroupID.y;
  if (group >= groups) return;
  Vectors from = Vectors(p.from + 4 * (uint64_t(token) * p.stride + 32 * group));
  vec4 values[8];
  float largest = 0;
  [[unroll]] for (uint i = 0; i < 8; ++i) {
    values[i] = from.at[i];
    [[unroll]] for (uint k = 0; k < 4; ++k) {
      if (32 * group + 4 * i + k >= p.cols) values[i][k] = 0;
      largest = max(largest, abs(values[i][k]));
    }
  }
  const float scale = largest / 127.0, inverse = largest > 0 ? 127.0 / largest : 0;
  int sums[2] = int[](0, 0);
  OutWords levels = OutWords(p.levels + uint64_t(token) * p.stride + 32 * group);
  [[unroll]] for (uint i = 0; i < 8; ++i) {
    const ivec4 level = ivec4(roundEven(values[i] * inverse));
    sums[i / 4] += level.x + level.y + level.z + level.w;
    levels.at[i] = uint(level.x & 255) | uint(level.y & 255) << 8 | uint(level.z & 255) << 16 | uint(level.w & 255) << 24;
  }
  Vectors(p.facts + 16 * (uint64_t(token) * groups + group)).at[0] = vec4(scale, sums[0], sums[1], 0);
}
