// Many inputs times a weight: tiles of 64 rows x 64 inputs, 32 columns at a time as floats in shared memory, 8 x 8 results a thread.
layout(local_size_x = 64) in;
layout(constant_id = 3) const bool kAdd = false;
#ifdef USE_HALF
#define Real float16_t
#else
#define Real float
#endif
#define TILE 64
#define DEPTH 32

// One more than a tile, so that the threads that store a column do not meet in one bank.
shared Real weights[DEPTH * (TILE + 1)];
shared Real inputs[DEPTH * (TILE + 1)];

void store(uint at, vec4 low, vec4 high) {
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    weights[at + i * (TILE + 1)] = Real(low[i]);
    weights[at + (i + 4) * (TILE + 1)] = Real(high[i]);
  }
}

void main() {
  const uint thread = gl_LocalInvocationID.x, first_row = gl_WorkGroupID.x * TILE, first_input = gl_WorkGroupID.y * TILE;
  float sums[64];
  [[unroll]] for (uint i = 0; i < 64; ++i) sums[i] = 0;
  const Row row = row_of(min(first_row + thread, p.rows - 1));
  const uint64_t from = p.from + 4 * uint64_t(min(first_input + thread, p.count - 1)) * p.from_stride;

  for (uint first = 0; first < p.cols; first += DEPTH) {
    [[unroll]] for (uint o = 0; o < DEPTH / 8; ++o) {
      const uint octet = first / 8 + o;
      vec4 low = vec4(0), high = vec4(0), x0 = vec4(0), x1 = vec4(0);
      if (octet * 8 < p.cols) {
        values_of_octet(row, octet, low, high);
        x0 = Vectors(from + 32 * octet).at[0];
        x1 = Vectors(from + 32 * octet).at[1];
      }
      const uint at = o * 8 * (TILE + 1) + thread;
      store(at, low, high);
      [[unroll]] for (uint i = 0; i < 4; ++i) {
        inputs[at + i * (TILE + 1)] = Real(x0[i]);
        inputs[at + (i + 4) * (TILE + 1)] = Real(x1[i]);
      }
    }
    barrier();
    for (uint k = 0; k < DEPTH; ++k) {
      float a[8], b[8];
      [[unroll]] for (uint i = 0; i < 8; ++i) {
        a[i] = float(weights[k * (TILE + 1) + thread % 8 + 8 * i]);
        b[i] = float(inputs[k * (TILE + 1) + thread / 8 + 8 * i]);
      }
      [[unroll]] for (uint i = 0; i < 8; ++i)
        [[unroll]] for (uint j = 0; j < 8; ++j) sums[i * 8 + j] += a[i] * b[j];
    }
    barrier();
  }

  [[unroll]] for (uint j = 0; j < 8; ++j) {
    const uint input_row = first_input + thread / 8 + 8 * j;
    if (input_row >= p.count) continue;
    [[unroll]] for (uint i = 0; i < 8; ++i) {
      const uint out_row = first_row + thread % 8 + 8 * i;
      if (out_row >= p.rows) continue;
      const float sum = p.bias != 0 ? sums[i * 8 + j] + Floats(p.bias).at[out_row] : sums[i * 8 + j];
      Floats to = Floats(p.to + 4 * (uint64_t(input_row) * p.to_stride + out_row));
      to.at[0] = kAdd ? to.at[0] + sum : sum;
    }
  }
}
