// MLX affine levels of F_BITS bits in one little-endian stream: see runtime/quant/mlx_affine.h.
#define F_BLOCK 32
#define F_BYTES (4 * F_BITS)
#define F_ALIGN 1
#define F_GROUP 32
#define F_BIAS 0
#define F_MAX_LEVEL ((1 << F_BITS) - 1)
#define F_HAS_OFFSET
#define F_SIDE
uvec2 levels8(uint64_t block, uint octet) {
  const uint64_t bytes = block + F_BITS * octet;
  uint64_t bits = 0;
#if F_BITS == 4 || F_BITS == 8
  [[unroll]] for (uint i = 0; i < F_BITS / 4; ++i) bits |= uint64_t(word_aligned4(bytes + 4 * i)) << (32 * i);
#elif F_BITS % 2 == 0
  [[unroll]] for (uint i = 0; i < F_BITS / 2; ++i) bits |= uint64_t(short_at(bytes + 2 * i)) << (16 * i);
#else
  [[unroll]] for (uint i = 0; i < F_BITS; ++i) bits |= uint64_t(byte_at(bytes + i)) << (8 * i);
#endif
  uvec2 levels = uvec2(0);
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    levels.x |= (uint(bits >> (F_BITS * i)) & F_MAX_LEVEL) << (8 * i);
    levels.y |= (uint(bits >> (F_BITS * (i + 4))) & F_MAX_LEVEL) << (8 * i);
  }
  return levels;
}
