// The 6-bit scales and minimums that Q4_K and Q5_K share: see runtime/quant/q4_k.h.
vec2 sixbit_affine(uint64_t block, uint group) {
  const uvec3 words = uvec3(word_at(block + 4), word_at(block + 8), word_at(block + 12)) >> (8 * (group % 4));
  uvec2 bits = words.xy & 63u;
  if (group >= 4) bits = uvec2(words.z & 15u, (words.z >> 4) & 15u) | ((words.xy >> 6) & 3u) << 4;
  precise vec2 scaled = unpackHalf2x16(word_at(block)) * vec2(bits);
  return vec2(scaled.x, -scaled.y);
}
