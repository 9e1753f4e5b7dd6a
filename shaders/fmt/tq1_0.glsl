// TQ1_0: see runtime/quant/tq1_0.h.
#define F_BLOCK 256
#define F_BYTES 54
#define F_ALIGN 2
#define F_GROUP 256
#define F_BIAS 1
#define F_MAX_LEVEL 2
vec2 affine(uint64_t block, uint group) { return vec2(half_at(block + 52), 0); }
uint power_of_3(uint n) { return n == 0 ? 1u : n == 1 ? 3u : n == 2 ? 9u : n == 3 ? 27u : 81u; }
// Digit `n` of each of four bytes: two at a time, so that products stay within 16 bits.
uint digits(uint word, uint n) {
  const uint power = power_of_3(n), even = (word & 0x00ff00ffu) * power & 0x00ff00ffu, odd = ((word >> 8) & 0x00ff00ffu) * power & 0x00ff00ffu;
  return ((even * 3u) >> 8 & 0x00ff00ffu) | ((odd * 3u) & 0xff00ff00u);
}
uvec2 levels8(uint64_t block, uint octet) {
  if (octet >= 30) {
    const uint fours = word_at(block + 48), first = 2 * (octet - 30);
    return uvec2(digits(fours, first), digits(fours, first + 1));
  }
  const uint at = octet < 20 ? octet % 4 * 8 : 32 + octet % 2 * 8, n = octet < 20 ? octet / 4 : (octet - 20) / 2;
  const uvec2 fives = words_at(block + at);
  return uvec2(digits(fives.x, n), digits(fives.y, n));
}
