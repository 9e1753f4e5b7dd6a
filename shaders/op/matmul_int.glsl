// Many quantised inputs times a weight's levels: tiles of 64 rows x 64 inputs, 32 columns at a time, four products an instruction.
#extension GL_EXT_spirv_intrinsics : require
layout(local_size_x = 256) in;
layout(constant_id = 3) const bool kAdd = false;
#define TILE 64
#define GROUPS (F_GROUP < 32 ? 2 : 1)  // scales in 32 columns of a row

// OpSDot on four signed bytes packed into each word.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int packed_dot(int a, int b, spirv_literal int packed_4x8);

// Levels above 127 become signed ones: flipping the top bit takes 128 away.
#if F_MAX_LEVEL > 127
#define FLIP 0x80808080u
#define SIGNED_BIAS (F_BIAS - 128)
#else
#define FLIP 0u
#define SIGNED_BIAS F_BIAS
#endif

shared uint weights[8 * (TILE + 1)];
shared vec2 affines[GROUPS * TILE];
shared uint inputs[8 * (TILE + 1)];
shared vec4 facts[TILE];  // of 32 input values: scale, sum of the first 16 levels, of the last 16

void main() {
  const uint thread = gl_LocalInvocationID.x, first_row = gl_WorkGroupID.x * TILE, first_input = gl_WorkGroupID.y * TILE;
  float sums[16];
  [[unroll]] for (uint i = 0; i < 16; ++i) sums[i] = 0;
  // What this thread brings into shared memory: one octet of a row and one of an input.
  const uint loaded = thread % TILE, part = thread / TILE;
  const Row row = row_of(min(first_row + loaded, p.rows - 1));
  const uint groups = p.from_stride / 32, token = min(first_input + loaded, p.count - 1);
  const uint64_t from = p.from + uint64_t(token) * p.from_stride, about = p.extra + 16 * uint64_t(token) * groups;

  for (uint group = 0; group < p.cols / 32; ++group) {
    const uvec2 levels = levels_of_octet(row, group * 4 + part) ^ FLIP, x = WordPairs(from + 32 * group + 8 * part).at[0];
    weights[(2 * part) * (TILE + 1) + loaded] = levels.x;
    weights[(2 * part + 1) * (TILE + 1) + loaded] = levels.y;
    inputs[(2 * part) * (TILE + 1) + loaded] = x.x;
    inputs[(2 * part + 1) * (TILE + 1) + loaded] = x.y;
    if (part < GROUPS) affines[part * TILE + loaded] = affine_of_octet(row, group * 4 + part * 2);
    if (part == 3) facts[loaded] = Vectors(about + 16 * group).at[0];
    barrier();
    [[unroll]] for (uint i = 0; i < 4; ++i) {
      const uint r = thread % 16 + 16 * i;
      uint a[8];
      [[unroll]] for (uint w = 0; w < 8; ++w) a[w] = weights[w * (TILE + 1) + r];
      [[unroll]] for (uint j = 0; j < 4; ++j) {
        const uint c = thread / 16 + 16 * j;
        const vec4 fact = facts[c];
        [[unroll]] for (uint g = 0; g < GROUPS; ++g) {
          int dots = 0;
          [[unroll]] for (uint w = g * 8 / GROUPS; w < (g + 1) * 8 / GROUPS; ++w) dots += packed_dot(int(a[w]), int(inputs[w * (TILE + 1) + c]), 0);
          const float sum = GROUPS == 1 ? fact.y + fact.z : g == 0 ? fact.y : fact.z;
          const vec2 affine = affines[g * TILE + r];
          sums[i * 4 + j] += fact.x * (affine.x * (float(dots) - float(SIGNED_BIAS) * sum) + affine.y * sum);
        }
      }
    }
    barrier();
  }
#include "store_tile.glsl"
}
