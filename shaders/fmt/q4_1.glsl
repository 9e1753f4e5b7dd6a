// Q4_1: see runtime/quant/q4_1.h.
#define F_BLOCK 32
#define F_BYTES 20
#define F_ALIGN 4
#define F_GROUP 32
#define F_BIAS 0
#define F_MAX_LEVEL 15
#define F_HAS_OFFSET
#define F_PAIR 16
vec2 affine(uint64_t block, uint group) { return unpackHalf2x16(word_at(block)); }
uvec4 pair(uint64_t block, uint index) { return nibbles(words_at(block + 4 + 8 * index)); }
