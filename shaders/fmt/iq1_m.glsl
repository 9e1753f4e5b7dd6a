// IQ1_M: see runtime/quant/iq1_m.h.
#define F_BLOCK 256
#define F_BYTES 56
#define F_ALIGN 4
#define F_GROUP 16
#define F_BIAS 9
#define F_MAX_LEVEL 18
#include "grids.glsl"
vec2 affine(uint64_t block, uint group) {
  const uvec2 words = words_at(block + 48), tops = (words >> 12) & 0x000f000fu;
  const uvec2 nibbles2 = (tops | tops >> 12) & 255u;
  const float super = unpackHalf2x16(nibbles2.x | nibbles2.y << 8).x;
  const uint word = words[group / 8] >> (16 * (group / 4 % 2)), scale = (word >> (3 * (group % 4))) & 7u;
  precise float scaled = super * float(2 * scale + 1) * 0.125;
  return vec2(scaled, 0);
}
uvec2 levels8(uint64_t block, uint octet) {
  const uint high = byte_at(block + 32 + octet / 2) >> (4 * (octet % 2));
  return put_shifted(byte_at(block + octet) | (high & 7u) << 8, (high & 8u) != 0);
}
