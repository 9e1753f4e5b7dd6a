// One value at a time: activations, sums, factors and soft caps.
layout(local_size_x = 64) in;
layout(constant_id = 1) const uint kKind = 0;
layout(push_constant, std430) uniform Push {
  uint64_t to;
  uint64_t from;  // the other input, where there is one
  uint to_stride, from_stride;
  uint cols;
  float factor;
} p;

#include "activation.glsl"

void main() {
  const uint column = gl_GlobalInvocationID.x, token = gl_WorkGroupID.y;
  if (column >= p.cols) return;
  Floats to = Floats(p.to + 4 * (uint64_t(token) * p.to_stride + column));
  float x = to.at[0];
  float y = 0;
  if (kKind <= 2 || kKind == 5) y = Floats(p.from + 4 * (uint64_t(token) * p.from_stride + column)).at[0];
  switch (kKind) {
    case 0:
    case 1:
    case 2: x = gated(kKind, x, y); break;
    case 3: x = silu(x); break;
    case 4: x = gelu(x); break;
    case 5: x = x + p.factor * y; break;
    case 6: x = x * p.factor; break;
    case 7: x = p.factor * tanh_of(x / p.factor); break;
  }
  to.at[0] = x;
}
