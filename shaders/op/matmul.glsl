// Many inputs times a weight: tiles of 64 rows x 64 inputs, 32 columns at a time as floats in shared memory, 4 x 4 results a thread.
layout(local_size_x = 256) in;
layout(constant_id = 3) const bool kAdd = false;
#ifdef USE_HALF
#define Real float16_t
// Beyond the range of a half the largest half is nearer than infinity.
#define held(x) float16_t(clamp(x, -65504.0, 65504.0))
#else
#define Real float
#define held(x) (x)
#endif
#define TILE 64
#define DEPTH 32

// One more than a tile, so that the threads that store a column do not meet in one bank.
shared Real weights[DEPTH * (TILE + 1)];
shared Real inputs[DEPTH * (TILE + 1)];

void main() {
  const uint thread = gl_LocalInvocationID.x, first_row = gl_WorkGroupID.x * TILE, first_input = gl_WorkGroupID.y * TILE;
  float sums[16];
  [[unroll]] for (uint i = 0; i < 16; ++i) sums[i] = 0;
  // What this thread brings into shared memory: one octet of a row and one of an input.
  const uint loaded = thread % TILE, part = thread / TILE;
  const Row row = row_of(min(first_row + loaded, p.rows - 1));
  const uint64_t from = p.from + 4 * uint64_t(min(first_input + loaded, p.count - 1)) * p.from_stride;

  for (uint first = 0; first < p.cols; first += DEPTH) {
    const uint octet = first / 8 + part, at = part * 8 * (TILE + 1) + loaded;
    vec4 low = vec4(0), high = vec4(0), x0 = vec4(0), x1 = vec4(0);
    if (octet * 8 < p.cols) {
      values_of_octet(row, octet, low, high);
      x0 = Vectors(from + 32 * octet).at[0];
      x1 = Vectors(from + 32 * octet).at[1];
    }
    [[unroll]] for (uint i = 0; i < 4; ++i) {
      weights[at + i * (TILE + 1)] = held(low[i]);
      weights[at + (i + 4) * (TILE + 1)] = held(high[i]);
      inputs[at + i * (TILE + 1)] = held(x0[i]);
      inputs[at + (i + 4) * (TILE + 1)] = held(x1[i]);
    }
    barrier();
    for (uint k = 0; k < DEPTH; ++k) {
      float a[4], b[4];
      [[unroll]] for (uint i = 0; i < 4; ++i) {
        a[i] = float(weights[k * (TILE + 1) + thread % 16 + 16 * i]);
        b[i] = float(inputs[k * (TILE + 1) + thread / 16 + 16 * i]);
      }
      [[unroll]] for (uint i = 0; i < 4; ++i)
        [[unroll]] for (uint j = 0; j < 4; ++j) sums[i * 4 + j] += a[i] * b[j];
    }
    barrier();
  }
#include "store_tile.glsl"
}
