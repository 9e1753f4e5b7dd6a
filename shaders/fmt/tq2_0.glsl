// TQ2_0: see runtime/quant/tq2_0.h.
#define F_BLOCK 256
#define F_BYTES 66
#define F_ALIGN 2
#define F_GROUP 256
#define F_BIAS 1
#define F_MAX_LEVEL 3
vec2 affine(uint64_t block, uint group) { return vec2(half_at(block + 64), 0); }
uvec2 levels8(uint64_t block, uint octet) { return (words_at(block + octet / 16 * 32 + octet % 4 * 8) >> (2 * (octet / 4 % 4))) & 0x03030303u; }
