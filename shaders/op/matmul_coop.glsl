// Many inputs times a weight on cooperative matrices: tiles of 64 rows x 64 inputs, 32 columns at a time as float16, sums in float32.
// Written for GL_NV_cooperative_matrix, which this glslc knows; build.py makes it SPV_KHR_cooperative_matrix, and takes from the names of
// the dimensions (rows and columns of a type) which operand a matrix is.
#extension GL_NV_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
layout(local_size_x = 256) in;
layout(constant_id = 1) const uint kM = 16;      // of one product on the device: rows,
layout(constant_id = 2) const uint kN = 16;      // inputs,
layout(constant_id = 4) const uint kK = 16;      // columns
layout(constant_id = 3) const bool kAdd = false;
layout(constant_id = 5) const uint kOwned = 2;   // products side by side of a subgroup
#define TILE 64
#define DEPTH 32
#define STRIDE (DEPTH + 8)  // halves: rows of a tile begin in different banks, at addresses of 16 bytes
#define OUT_STRIDE (TILE + 4)

shared float16_t weights[TILE * STRIDE];
shared float16_t inputs[TILE * STRIDE];
shared float results[TILE * OUT_STRIDE];

// Beyond the range of a half the largest half is nearer than infinity.
void hold(uint at, vec4 values, bool is_weight) {
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const float16_t held = float16_t(clamp(values[i], -65504.0, 65504.0));
    if (is_weight)
      weights[at + i] = held;
    else
      inputs[at + i] = held;
  }
}

void main() {
  const uint thread = gl_LocalInvocationID.x, first_row = gl_WorkGroupID.x * TILE, first_input = gl_WorkGroupID.y * TILE;
  // What this thread brings into shared memory: one octet of a row and one of an input.
  const uint loaded = thread % TILE, part = thread / TILE;
  const Row row = row_of(min(first_row + loaded, p.rows - 1));
  const uint64_t from = p.from + 4 * uint64_t(min(first_input + loaded, p.count - 1)) * p.from_stride;
  // Products of this subgroup: beside each other in one row of them, or none.
  const uint across = TILE / kN, first_product = gl_SubgroupID * kOwned, m = first_product / across, n = first_product % across;
  const bool takes_part = m < TILE / kM;

  fcoopmatNV<32, gl_ScopeSubgroup, kM, kN> sums[kOwned];
  [[unroll]] for (uint o = 0; o < kOwned; ++o) sums[o] = fcoopmatNV<32, gl_ScopeSubgroup, kM, kN>(0.0);

  for (uint first = 0; first < p.cols; first += DEPTH) {
    const uint octet = first / 8 + part;
    vec4 low = vec4(0), high = vec4(0), x0 = vec4(0), x1 = vec4(0);
    if (octet * 8 < p.cols) {
      values_of_octet(row, octet, low, high);
      x0 = Vectors(from + 32 * octet).at[0];
      x1 = Vectors(from + 32 * octet).at[1];
    }
    hold(loaded * STRIDE + part * 8, low, true);
    hold(loaded * STRIDE + part * 8 + 4, high, true);
    hold(loaded * STRIDE + part * 8, x0, false);
    hold(loaded * STRIDE + part * 8 + 4, x1, false);
    barrier();
    if (takes_part) {
      for (uint k = 0; k < DEPTH; k += kK) {
        fcoopmatNV<16, gl_ScopeSubgroup, kM, kK> a;
        coopMatLoadNV(a, weights, m * kM * STRIDE + k, STRIDE, false);
        [[unroll]] for (uint o = 0; o < kOwned; ++o) {
          fcoopmatNV<16, gl_ScopeSubgroup, kK, kN> b;
          coopMatLoadNV(b, inputs, (n + o) * kN * STRIDE + k, STRIDE, true);
          sums[o] = coopMatMulAddNV(a, b, sums[o]);
        }
      }
    }
    barrier();
  }
  if (takes_part) {
    [[unroll]] for (uint o = 0; o < kOwned; ++o) coopMatStoreNV(sums[o], results, (n + o) * kN * OUT_STRIDE + m * kM, OUT_STRIDE, true);
  }
  barrier();
  for (uint i = thread; i < TILE * TILE; i += 256) {
    const uint out_row = first_row + i % TILE, input_row = first_input + i / TILE;
    if (out_row >= p.rows || input_row >= p.count) continue;
    float sum = results[i / TILE * OUT_STRIDE + i % TILE];
    if (p.bias != 0) sum += Floats(p.bias).at[out_row];
    Floats to = Floats(p.to + 4 * (uint64_t(input_row) * p.to_stride + out_row));
    to.at[0] = kAdd ? to.at[0] + sum : sum;
  }
}
