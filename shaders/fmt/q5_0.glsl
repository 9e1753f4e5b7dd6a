// Q5_0: see runtime/quant/q5_0.h.
#define F_BLOCK 32
#define F_BYTES 22
#define F_ALIGN 2
#define F_GROUP 32
#define F_BIAS 16
#define F_MAX_LEVEL 31
#define F_PAIR 16
vec2 affine(uint64_t block, uint group) { return vec2(half_at(block), 0); }
uvec4 pair(uint64_t block, uint index) {
  const uint high = word_at(block + 2) >> (8 * index);
  return nibbles(words_at(block + 6 + 8 * index)) | uvec4(spread(high & 255u), spread((high >> 16) & 255u)) << 4;
}
