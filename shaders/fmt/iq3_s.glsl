// IQ3_S: see runtime/quant/iq3_s.h.
#define F_BLOCK 256
#define F_BYTES 110
#define F_ALIGN 2
#define F_GROUP 32
#define F_BIAS 16
#define F_MAX_LEVEL 31
#include "grids.glsl"
vec2 affine(uint64_t block, uint group) {
  const uint scale = (byte_at(block + 106 + group / 2) >> (4 * (group % 2))) & 15u;
  return vec2(half_at(block) * float(2 * scale + 1), 0);
}
uvec2 levels8(uint64_t block, uint octet) {
  const uint high = byte_at(block + 66 + octet / 4) >> (2 * (octet % 4)), points = short_at(block + 2 + 2 * octet);
  return put_signed(uvec2(point4(G_IQ3_S, (points & 255u) | (high & 1u) << 8), point4(G_IQ3_S, points >> 8 | (high & 2u) << 7)), byte_at(block + 74 + octet));
}
