// F8_E5M2: the upper byte of an F16.
#define F_VALUES
#define F_SCALED
#define F_ALIGN 1
float value(uint64_t row, uint column) { return unpackHalf2x16(byte_at(row + column) << 8).x; }
