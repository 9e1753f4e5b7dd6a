// The index of each row's largest value, the lowest one among equals. NaN is never chosen unless nothing else is there.
layout(local_size_x = 256) in;
layout(push_constant, std430) uniform Push {
  uint64_t rows;  // [rows][stride]
  uint64_t to;    // [rows] indices
  uint stride;
  uint cols;
} p;
shared float values[256];
shared uint indices[256];

const uint kNone = 0xffffffffu;

void main() {
  const uint thread = gl_LocalInvocationID.x, row = gl_WorkGroupID.x;
  Floats from = Floats(p.rows + 4 * uint64_t(row) * p.stride);
  float value = uintBitsToFloat(0xff800000u);  // minus infinity
  uint index = kNone;
  for (uint i = thread; i < p.cols; i += 256) {
    const float found = from.at[i];
    if (found > value || (found == value && index == kNone)) {
      value = found;
      index = i;
    }
  }
  values[thread] = value;
  indices[thread] = index;
  for (uint apart = 128; apart > 0; apart /= 2) {
    barrier();
    if (thread < apart) {
      const float other = values[thread + apart];
      if (other > values[thread] || (other == values[thread] && indices[thread + apart] < indices[thread])) {
        values[thread] = other;
        indices[thread] = indices[thread + apart];
      }
    }
  }
  if (thread == 0) OutWords(p.to + 4 * row).at[0] = indices[0] == kNone ? 0 : indices[0];
}
