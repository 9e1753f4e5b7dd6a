// Q4_0: see runtime/quant/q4_0.h.
#define F_BLOCK 32
#define F_BYTES 18
#define F_ALIGN 2
#define F_GROUP 32
#define F_BIAS 8
#define F_MAX_LEVEL 15
#define F_PAIR 16
vec2 affine(uint64_t block, uint group) { return vec2(half_at(block), 0); }
uvec4 pair(uint64_t block, uint index) { return nibbles(words_at(block + 2 + 8 * index)); }
