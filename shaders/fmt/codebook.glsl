// Formats whose 4-bit codes are levels of a table of 16 bytes: four codes, one to a byte of a word, as four levels.
uint level_of(uvec4 table, uint code) { return (table[code >> 2] >> (8 * (code & 3u))) & 255u; }
uint levels_of(uvec4 table, uint codes) {
  return level_of(table, codes & 15u) | level_of(table, (codes >> 8) & 15u) << 8 | level_of(table, (codes >> 16) & 15u) << 16 | level_of(table, codes >> 24) << 24;
}
uvec4 coded(uvec4 table, uvec4 codes) { return uvec4(levels_of(table, codes.x), levels_of(table, codes.y), levels_of(table, codes.z), levels_of(table, codes.w)); }
// IQ4_NL's values around 128, and twice the E2M1 values around 12: see runtime/quant/iq4_nl.h and mxfp4.h.
const uvec4 kUneven = uvec4(0x3f2d1801u, 0x766a5d4fu, 0xa6998d81u, 0xf1d9c5b5u);
const uvec4 kE2m1 = uvec4(0x0f0e0d0cu, 0x18141210u, 0x090a0b0cu, 0x00040608u);
