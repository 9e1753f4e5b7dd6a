// The layout of cached keys and values: [sequence][kv_head][position][dim] of one layer; Q8_0 scales [sequence][kv_head][position][group].
layout(constant_id = 20) const uint kKvType = 1;  // 0: F32, 1: F16, 2: signed bytes under a half for 32 values

// Bytes of `values` values.
uint kv_bytes(uint values) { return kKvType == 0 ? values * 4 : kKvType == 1 ? values * 2 : values; }
float kv_value(uint64_t row, uint64_t scales, uint i) {
  if (kKvType == 0) return Floats(row + 4 * i).at[0];
  if (kKvType == 1) return half_at(row + 2 * i);
  return float(int(byte_at(row + i) << 24) >> 24) * half_at(scales + 2 * (i / 32));
}
