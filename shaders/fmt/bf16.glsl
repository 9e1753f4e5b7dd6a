// BF16: the upper half of an F32.
#define F_VALUES
#define F_ALIGN 2
float value(uint64_t row, uint column) { return uintBitsToFloat(short_at(row + 2 * uint64_t(column)) << 16); }
// Eight values at once, where rows are whole octets at addresses of 16 bytes.
#define F_VECTOR
void vector8(uint64_t row, uint octet, out vec4 low, out vec4 high) {
  const uvec4 bits = floatBitsToUint(Vectors(row + 16 * uint64_t(octet)).at[0]);
  low = uintBitsToFloat(uvec4(bits.x << 16, bits.x & 0xffff0000u, bits.y << 16, bits.y & 0xffff0000u));
  high = uintBitsToFloat(uvec4(bits.z << 16, bits.z & 0xffff0000u, bits.w << 16, bits.w & 0xffff0000u));
}
