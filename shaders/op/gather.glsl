// Rows of a weight as floats: the embedding of each token, or any rows for a dequantiser's test.
layout(local_size_x = 64) in;
layout(constant_id = 3) const bool kAdd = false;

void main() {
  const uint octet = gl_GlobalInvocationID.x, token = gl_WorkGroupID.y;
  if (octet * 8 >= p.cols) return;
  const uint index = Words(p.from + 4 * uint64_t(token) * p.from_stride).at[0];
  vec4 low, high;
  values_of_octet(row_of(index), octet, low, high);
  const uint64_t to = p.to + 4 * (uint64_t(token) * p.to_stride + octet * 8);
  if (kAdd) {
    low += Vectors(to).at[0];
    high += Vectors(to).at[1];
  }
  Vectors(to).at[0] = low;
  Vectors(to).at[1] = high;
}
