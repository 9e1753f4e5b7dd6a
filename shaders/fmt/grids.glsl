// Grid points and signs of the IQ1, IQ2 and IQ3 formats: see runtime/quant/iq_grids.h; the offsets are those of tables.h.
#define G_IQ1 0
#define G_IQ2_XXS 16384
#define G_IQ2_XS 18432
#define G_IQ2_S 22528
#define G_IQ3_XXS 30720
#define G_IQ3_S 31744
uvec2 point8(uint grid, uint index) { return WordPairs(p.tables + grid + 8 * index).at[0]; }
uint point4(uint grid, uint index) { return Words(p.tables + grid + 4 * index).at[0]; }
uint even_signs(uint seven) { return seven | (uint(bitCount(seven)) & 1u) << 7; }
// bias + magnitude, or bias - magnitude where the value's sign bit is set; no byte borrows from its neighbour.
uvec2 put_signed(uvec2 magnitudes, uint signs) {
  const uvec2 negative = spread(signs) * 255u;
  return ((F_BIAS * 0x01010101u + magnitudes) & ~negative) | ((F_BIAS * 0x01010101u - magnitudes) & negative);
}
// Values -1, 0, 1 of a point, plus or minus an eighth, in eighths above the bias of 9.
uvec2 put_shifted(uint index, bool down) { return point8(G_IQ1, index) * 8u + (down ? 0u : 0x02020202u); }
