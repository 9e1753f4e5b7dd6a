// Copies chosen rows to the front of another slot.
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
  uint64_t from;
  uint64_t to;
  uint64_t rows;  // [kept] row numbers
  uint stride;
  uint cols;
} p;

void main() {
  if (gl_GlobalInvocationID.x >= p.cols) return;
  const uint row = Words(p.rows + 4 * gl_WorkGroupID.y).at[0];
  Floats(p.to + 4 * (uint64_t(gl_WorkGroupID.y) * p.stride + gl_GlobalInvocationID.x)).at[0] =
      Floats(p.from + 4 * (uint64_t(row) * p.stride + gl_GlobalInvocationID.x)).at[0];
}
