// Keys, rotated on the way where they are to be, or values of a pass go into the cache: 32 values of one head and token a thread.
#include "kv.glsl"
layout(local_size_x = 64) in;
layout(constant_id = 1) const bool kRotates = false;
layout(push_constant, std430) uniform Push {
  uint64_t from;    // [tokens][stride]
  uint64_t cache;
  uint64_t scales;
  uint64_t tokens;  // [tokens] of {id, sequence, position, 0}
  uint stride;
  uint kv_heads;
  uint dim;
  uint positions;   // that the cache holds, round and round
  // Of the rotation, see rope.glsl.
  uint64_t angles;
  uint first;
  uint pairs;
  uint apart;
  uint step;
} p;
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Angles { vec2 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Tokens { uvec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 1) writeonly buffer OutBytes { uint8_t at[]; };

float value_of(Floats from, uint token, uint i) {
  const uint at = i - p.first;  // far beyond the last pair where i is before the first
  if (!kRotates || at >= 2 * p.pairs) return from.at[i];
  const bool is_second = p.apart == 1 ? at % 2 == 1 : at >= p.pairs;
  const uint pair = p.apart == 1 ? at / 2 : is_second ? at - p.pairs : at;
  const vec2 angle = Angles(p.angles + 8 * (uint64_t(token) * p.pairs + pair)).at[0];
  const float a = from.at[p.first + pair * p.step], b = from.at[p.first + pair * p.step + p.apart];
  return is_second ? a * angle.y + b * angle.x : a * angle.x - b * angle.y;
}

void main() {
  const uint groups = (p.dim + 31) / 32, token = gl_WorkGroupID.y;
  if (gl_GlobalInvocationID.x >= p.kv_heads * groups) return;
  const uint head = gl_GlobalInvocationID.x / groups, group = gl_GlobalInvocationID.x % groups;
  const uvec4 about = Tokens(p.tokens + 16 * token).at[0];
  const uint64_t place = (uint64_t(about.y) * p.kv_heads + head) * p.positions + about.z % p.positions;
  const uint64_t row = p.cache + place * kv_bytes(p.dim);
  Floats from = Floats(p.from + 4 * (uint64_t(token) * p.stride + head * p.dim));
  const uint end = min(p.dim, group * 32 + 32);
  float largest = 0;
  if (kKvType == 2)
    for (uint i = group * 32; i < end; ++i) largest = max(largest, abs(value_of(from, token, i)));
  // Levels are taken against the scale as it is stored.
  const uint half_bits = packHalf2x16(vec2(largest / 127.0, 0)) & 0xffffu;
  const float scale = unpackHalf2x16(half_bits).x, inverse = scale > 0 ? 1.0 / scale : 0;
  if (kKvType == 2) OutShorts(p.scales + 2 * (place * groups + group)).at[0] = uint16_t(half_bits);
  for (uint i = group * 32; i < end; ++i) {
    const float x = value_of(from, token, i);
    if (kKvType == 0) OutWords(row + 4 * i).at[0] = floatBitsToUint(x);
    if (kKvType == 1) OutShorts(row + 2 * i).at[0] = uint16_t(packHalf2x16(vec2(x, 0)));
    if (kKvType == 2) OutBytes(row + i).at[0] = uint8_t(int(clamp(roundEven(x * inverse), -127.0, 127.0)) & 255);
  }
}
