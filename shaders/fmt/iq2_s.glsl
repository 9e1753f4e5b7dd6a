// IQ2_S: see runtime/quant/iq2_s.h.
#define F_BLOCK 256
#define F_BYTES 82
#define F_ALIGN 2
#define F_GROUP 16
#define F_BIAS 64
#define F_MAX_LEVEL 107
#include "grids.glsl"
vec2 affine(uint64_t block, uint group) {
  const uint scale = (byte_at(block + 74 + group / 2) >> (4 * (group % 2))) & 15u;
  precise float scaled = half_at(block) * (0.5 + float(scale)) * 0.25;
  return vec2(scaled, 0);
}
uvec2 levels8(uint64_t block, uint octet) {
  const uint high = (byte_at(block + 66 + octet / 4) >> (2 * (octet % 4))) & 3u;
  return put_signed(point8(G_IQ2_S, byte_at(block + 2 + octet) | high << 8), byte_at(block + 34 + octet));
}
