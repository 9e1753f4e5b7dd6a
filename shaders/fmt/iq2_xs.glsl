// IQ2_XS: see runtime/quant/iq2_xs.h.
#define F_BLOCK 256
#define F_BYTES 74
#define F_ALIGN 2
#define F_GROUP 16
#define F_BIAS 64
#define F_MAX_LEVEL 107
#include "grids.glsl"
vec2 affine(uint64_t block, uint group) {
  const uint scale = (byte_at(block + 66 + group / 2) >> (4 * (group % 2))) & 15u;
  precise float scaled = half_at(block) * (0.5 + float(scale)) * 0.25;
  return vec2(scaled, 0);
}
uvec2 levels8(uint64_t block, uint octet) {
  const uint point = short_at(block + 2 + 2 * octet);
  return put_signed(point8(G_IQ2_XS, point & 511u), even_signs(point >> 9));
}
