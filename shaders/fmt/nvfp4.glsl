// NVFP4: see runtime/quant/nvfp4.h.
#define F_BLOCK 64
#define F_BYTES 36
#define F_ALIGN 4
#define F_GROUP 16
#define F_BIAS 12
#define F_MAX_LEVEL 24
#define F_PAIR 8
#include "codebook.glsl"
vec2 affine(uint64_t block, uint group) {
  const uint code = byte_at(block + group), exponent = (code >> 3) & 15u, mantissa = code & 7u;
  if (code == 0x7f) return vec2(0);
  if (exponent == 0) return vec2(float(mantissa) * 0.0009765625, 0);
  return vec2(uintBitsToFloat((exponent + 119) << 23 | mantissa << 20), 0);
}
uvec4 pair(uint64_t block, uint index) { return coded(kE2m1, nibbles(words_at(block + 4 + 8 * index))); }
