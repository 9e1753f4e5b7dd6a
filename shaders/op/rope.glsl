// Rotary position embedding of each head, by the cosines and sines that the processor computed for each token.
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
  uint64_t rows;    // [tokens][stride], rotated in place
  uint64_t angles;  // [tokens][pairs] of {cosine, sine}
  uint stride;
  uint heads;
  uint head_dim;
  uint first;       // value of a head where rotation begins
  uint pairs;
  uint apart;       // of the two values of a pair
  uint step;        // between pairs
} p;
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Angles { vec2 at[]; };

void main() {
  const uint token = gl_WorkGroupID.y;
  if (gl_GlobalInvocationID.x >= p.heads * p.pairs) return;
  const uint head = gl_GlobalInvocationID.x / p.pairs, pair = gl_GlobalInvocationID.x % p.pairs;
  const vec2 angle = Angles(p.angles + 8 * (uint64_t(token) * p.pairs + pair)).at[0];
  Floats x = Floats(p.rows + 4 * (uint64_t(token) * p.stride + head * p.head_dim + p.first + pair * p.step));
  const float a = x.at[0], b = x.at[p.apart];
  x.at[0] = a * angle.x - b * angle.y;
  x.at[p.apart] = a * angle.y + b * angle.x;
}
