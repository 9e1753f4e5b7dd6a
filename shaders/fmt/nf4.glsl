// NF4: see runtime/quant/nf4.h; its 16 values lie behind the grids, see tables.h.
#define F_VALUES
#define F_SCALED
#define F_FLAT_GROUPS
#define F_ALIGN 1
float value(uint64_t row, uint column) {
  const uint both = byte_at(row + column / 2), code = column % 2 == 0 ? both >> 4 : both & 15u;
  return Floats(p.tables + 33792 + 4 * code).at[0];
}
