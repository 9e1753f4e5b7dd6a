// Q8_0: see runtime/quant/q8_0.h.
#define F_BLOCK 32
#define F_BYTES 34
#define F_ALIGN 2
#define F_GROUP 32
#define F_BIAS 128
#define F_MAX_LEVEL 255
vec2 affine(uint64_t block, uint group) { return vec2(half_at(block), 0); }
uvec2 levels8(uint64_t block, uint octet) { return words_at(block + 2 + 8 * octet) ^ 0x80808080u; }
