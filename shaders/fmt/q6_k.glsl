// Q6_K: see runtime/quant/q6_k.h.
#define F_BLOCK 256
#define F_BYTES 210
#define F_ALIGN 2
#define F_GROUP 16
#define F_BIAS 32
#define F_MAX_LEVEL 63
#define F_PAIR 64
vec2 affine(uint64_t block, uint group) { return vec2(half_at(block + 208) * float(int(byte_at(block + 192 + group) << 24) >> 24), 0); }
uvec4 pair(uint64_t block, uint index) {
  const uint part = index / 8, at = index % 8;
  const uvec2 high = words_at(block + 128 + part * 32 + at % 4 * 8) >> (2 * (at / 4));
  return nibbles(words_at(block + part * 64 + at * 8)) | uvec4(high & 0x03030303u, (high >> 4) & 0x03030303u) << 4;
}
