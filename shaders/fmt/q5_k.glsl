// Q5_K: see runtime/quant/q5_k.h.
#define F_BLOCK 256
#define F_BYTES 176
#define F_ALIGN 4
#define F_GROUP 32
#define F_BIAS 0
#define F_MAX_LEVEL 31
#define F_HAS_OFFSET
#define F_PAIR 32
#include "sixbit.glsl"
vec2 affine(uint64_t block, uint group) { return sixbit_affine(block, group); }
uvec4 pair(uint64_t block, uint index) {
  const uvec2 high = words_at(block + 16 + index % 4 * 8) >> (2 * (index / 4));
  return nibbles(words_at(block + 48 + 8 * index)) | uvec4(high & 0x01010101u, (high >> 1) & 0x01010101u) << 4;
}
