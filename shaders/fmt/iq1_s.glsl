// IQ1_S: see runtime/quant/iq1_s.h.
#define F_BLOCK 256
#define F_BYTES 50
#define F_ALIGN 2
#define F_GROUP 32
#define F_BIAS 9
#define F_MAX_LEVEL 18
#include "grids.glsl"
vec2 affine(uint64_t block, uint group) {
  const uint scale = (short_at(block + 34 + 2 * group) >> 12) & 7u;
  precise float scaled = half_at(block) * float(2 * scale + 1) * 0.125;
  return vec2(scaled, 0);
}
uvec2 levels8(uint64_t block, uint octet) {
  const uint high = short_at(block + 34 + octet / 4 * 2);
  return put_shifted(byte_at(block + 2 + octet) | ((high >> (3 * (octet % 4))) & 7u) << 8, (high & 0x8000u) != 0);
}
