// IQ2_XXS: see runtime/quant/iq2_xxs.h.
#define F_BLOCK 256
#define F_BYTES 66
#define F_ALIGN 2
#define F_GROUP 32
#define F_BIAS 64
#define F_MAX_LEVEL 107
#include "grids.glsl"
vec2 affine(uint64_t block, uint group) {
  precise float scaled = half_at(block) * (0.5 + float(word_at(block + 6 + 8 * group) >> 28)) * 0.25;
  return vec2(scaled, 0);
}
uvec2 levels8(uint64_t block, uint octet) {
  const uvec2 run = words_at(block + 2 + octet / 4 * 8);
  return put_signed(point8(G_IQ2_XXS, (run.x >> (8 * (octet % 4))) & 255u), even_signs((run.y >> (7 * (octet % 4))) & 127u));
}
