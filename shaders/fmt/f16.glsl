// F16: IEEE half.
#define F_VALUES
#define F_ALIGN 2
float value(uint64_t row, uint column) { return half_at(row + 2 * uint64_t(column)); }
// Eight values at once, where rows are whole octets at addresses of 16 bytes.
#define F_VECTOR
void vector8(uint64_t row, uint octet, out vec4 low, out vec4 high) {
  const uvec4 bits = floatBitsToUint(Vectors(row + 16 * uint64_t(octet)).at[0]);
  low = vec4(unpackHalf2x16(bits.x), unpackHalf2x16(bits.y));
  high = vec4(unpackHalf2x16(bits.z), unpackHalf2x16(bits.w));
}
