// Q2_K: see runtime/quant/q2_k.h.
#define F_BLOCK 256
#define F_BYTES 84
#define F_ALIGN 4
#define F_GROUP 16
#define F_BIAS 0
#define F_MAX_LEVEL 3
#define F_HAS_OFFSET
vec2 affine(uint64_t block, uint group) {
  const uint both = byte_at(block + group);
  precise vec2 scaled = unpackHalf2x16(word_at(block + 80)) * vec2(both & 15u, both >> 4);
  return vec2(scaled.x, -scaled.y);
}
uvec2 levels8(uint64_t block, uint octet) { return (words_at(block + 16 + octet / 16 * 32 + octet % 4 * 8) >> (2 * (octet / 4 % 4))) & 0x03030303u; }
