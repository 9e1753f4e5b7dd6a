// MXFP4: see runtime/quant/mxfp4.h.
#define F_BLOCK 32
#define F_BYTES 17
#define F_ALIGN 1
#define F_GROUP 32
#define F_BIAS 12
#define F_MAX_LEVEL 24
#define F_PAIR 16
#include "codebook.glsl"
vec2 affine(uint64_t block, uint group) {
  const uint exponent = byte_at(block);
  return vec2(uintBitsToFloat(exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23), 0);
}
uvec4 pair(uint64_t block, uint index) { return coded(kE2m1, nibbles(words_at(block + 1 + 8 * index))); }
