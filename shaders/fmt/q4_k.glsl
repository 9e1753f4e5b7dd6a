// Q4_K: see runtime/quant/q4_k.h.
#define F_BLOCK 256
#define F_BYTES 144
#define F_ALIGN 4
#define F_GROUP 32
#define F_BIAS 0
#define F_MAX_LEVEL 15
#define F_HAS_OFFSET
#define F_PAIR 32
#include "sixbit.glsl"
vec2 affine(uint64_t block, uint group) { return sixbit_affine(block, group); }
uvec4 pair(uint64_t block, uint index) { return nibbles(words_at(block + 16 + 8 * index)); }
