// IQ4_NL: see runtime/quant/iq4_nl.h.
#define F_BLOCK 32
#define F_BYTES 18
#define F_ALIGN 2
#define F_GROUP 32
#define F_BIAS 128
#define F_MAX_LEVEL 241
#define F_PAIR 16
#include "codebook.glsl"
vec2 affine(uint64_t block, uint group) { return vec2(half_at(block), 0); }
uvec4 pair(uint64_t block, uint index) { return coded(kUneven, nibbles(words_at(block + 2 + 8 * index))); }
