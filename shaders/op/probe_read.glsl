// Bandwidth probe: every vector of a buffer is read once.
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
  uint64_t from;
  uint64_t to;     // [threads] words, so that the reads count
  uint vectors;    // of 16 bytes
  uint threads;
} p;

void main() {
  vec4 sum = vec4(0);
  for (uint i = gl_GlobalInvocationID.x; i < p.vectors; i += p.threads) sum += Vectors(p.from + 16 * uint64_t(i)).at[0];
  Floats(p.to + 4 * uint64_t(gl_GlobalInvocationID.x)).at[0] = sum.x + sum.y + sum.z + sum.w;
}
