// Q3_K: see runtime/quant/q3_k.h.
#define F_BLOCK 256
#define F_BYTES 110
#define F_ALIGN 2
#define F_GROUP 16
#define F_BIAS 4
#define F_MAX_LEVEL 7
vec2 affine(uint64_t block, uint group) {
  const uint nibbles8 = byte_at(block + 96 + group % 8);
  const uint low = group < 8 ? nibbles8 & 15u : nibbles8 >> 4;
  const uint high = (byte_at(block + 104 + group % 4) >> (2 * (group / 4))) & 3u;
  return vec2(half_at(block + 108) * float(int(low | high << 4) - 32), 0);
}
uvec2 levels8(uint64_t block, uint octet) {
  const uvec2 low = (words_at(block + 32 + octet / 16 * 32 + octet % 4 * 8) >> (2 * (octet / 4 % 4))) & 0x03030303u;
  const uvec2 high = (words_at(block + octet % 4 * 8) >> (octet / 4)) & 0x01010101u;
  return low | high << 2;
}
