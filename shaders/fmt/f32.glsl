// F32: as it is.
#define F_VALUES
#define F_ALIGN 4
float value(uint64_t row, uint column) { return Floats(row + 4 * uint64_t(column)).at[0]; }
// Eight values at once, where rows are whole octets at addresses of 16 bytes.
#define F_VECTOR
void vector8(uint64_t row, uint octet, out vec4 low, out vec4 high) {
  low = Vectors(row + 32 * uint64_t(octet)).at[0];
  high = Vectors(row + 32 * uint64_t(octet)).at[1];
}
