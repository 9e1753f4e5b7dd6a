// Peak probe: packed 4 x 8-bit dot products, 8 chains of four a thread.
#extension GL_EXT_spirv_intrinsics : require
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int packed_dot(int a, int b, spirv_literal int packed_4x8);
ivec4 dots(ivec4 a, ivec4 x) { return ivec4(packed_dot(a.x, x.x, 0), packed_dot(a.y, x.y, 0), packed_dot(a.z, x.z, 0), packed_dot(a.w, x.w, 0)); }
#define Value ivec4
#define STEP(a, x) a += dots(a, x)
#include "probe_chains.glsl"
