// F8_E4M3: see runtime/quant/fp8.h.
#define F_VALUES
#define F_SCALED
#define F_ALIGN 1
float value(uint64_t row, uint column) {
  const uint code = byte_at(row + column), sign = (code & 0x80u) << 24, exponent = (code >> 3) & 15u, mantissa = code & 7u;
  if (exponent == 15 && mantissa == 7) return uintBitsToFloat(sign | 0x7fc00000u);
  if (exponent != 0) return uintBitsToFloat(sign | (exponent + 120) << 23 | mantissa << 20);
  return uintBitsToFloat(sign | floatBitsToUint(float(mantissa) * 0.001953125));
}
