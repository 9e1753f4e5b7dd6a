// IQ4_XS: see runtime/quant/iq4_xs.h.
#define F_BLOCK 256
#define F_BYTES 136
#define F_ALIGN 4
#define F_GROUP 32
#define F_BIAS 128
#define F_MAX_LEVEL 241
#define F_PAIR 16
#include "codebook.glsl"
vec2 affine(uint64_t block, uint group) {
  const uint first = word_at(block), low = (word_at(block + 4) >> (4 * group)) & 15u, high = (first >> (16 + 2 * group)) & 3u;
  return vec2(unpackHalf2x16(first).x * float(int(low | high << 4) - 32), 0);
}
uvec4 pair(uint64_t block, uint index) { return coded(kUneven, nibbles(words_at(block + 8 + 8 * index))); }
