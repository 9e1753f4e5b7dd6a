// Q1_0: see runtime/quant/q1_0.h.
#define F_BLOCK 128
#define F_BYTES 18
#define F_ALIGN 2
#define F_GROUP 128
#define F_BIAS 1
#define F_MAX_LEVEL 2
vec2 affine(uint64_t block, uint group) { return vec2(half_at(block), 0); }
uvec2 levels8(uint64_t block, uint octet) { return spread(byte_at(block + 2 + octet)) << 1; }
