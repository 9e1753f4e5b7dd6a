// IQ3_XXS: see runtime/quant/iq3_xxs.h.
#define F_BLOCK 256
#define F_BYTES 98
#define F_ALIGN 2
#define F_GROUP 32
#define F_BIAS 64
#define F_MAX_LEVEL 126
#include "grids.glsl"
vec2 affine(uint64_t block, uint group) {
  precise float scaled = half_at(block) * (0.5 + float(word_at(block + 66 + 4 * group) >> 28)) * 0.5;
  return vec2(scaled, 0);
}
uvec2 levels8(uint64_t block, uint octet) {
  const uint signs = (word_at(block + 66 + octet / 4 * 4) >> (7 * (octet % 4))) & 127u, points = short_at(block + 2 + 2 * octet);
  return put_signed(uvec2(point4(G_IQ3_XXS, points & 255u), point4(G_IQ3_XXS, points >> 8)), even_signs(signs));
}
