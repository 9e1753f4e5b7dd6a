// I8: signed bytes.
#define F_VALUES
#define F_ALIGN 1
float value(uint64_t row, uint column) { return float(int(byte_at(row + column) << 24) >> 24); }
