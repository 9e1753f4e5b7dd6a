// Chains of dependent operations, enough of them to keep a processor's pipelines full: 32 operations of 4 values a round.
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
  uint64_t to;
  uint rounds;
} p;

void main() {
  Value a[8];
  const Value x = Value(gl_GlobalInvocationID.x & 7u);
  [[unroll]] for (uint i = 0; i < 8; ++i) a[i] = x + Value(i);
  for (uint round = 0; round < p.rounds; ++round) {
    [[unroll]] for (uint k = 0; k < 4; ++k)
      [[unroll]] for (uint i = 0; i < 8; ++i) STEP(a[i], x);
  }
  Value sum = a[0];
  [[unroll]] for (uint i = 1; i < 8; ++i) sum += a[i];
  Floats(p.to + 4 * uint64_t(gl_GlobalInvocationID.x)).at[0] = float(sum.x) + float(sum.y) + float(sum.z) + float(sum.w);
}
