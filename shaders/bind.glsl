// What every shader stands on: extensions, memory by address, and words and halves at any alignment.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : enable
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int16 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

layout(buffer_reference, std430, buffer_reference_align = 1) readonly buffer Bytes { uint8_t at[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) readonly buffer Shorts { uint16_t at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Words { uint at[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer WordPairs { uvec2 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Vectors { vec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) writeonly buffer OutWords { uint at[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) writeonly buffer OutShorts { uint16_t at[]; };

uint byte_at(uint64_t address) { return uint(Bytes(address).at[0]); }
uint short_at(uint64_t address) { return uint(Shorts(address).at[0]); }
float half_at(uint64_t address) { return unpackHalf2x16(short_at(address)).x; }

// A 32-bit word where only the file's own alignment is promised.
uint word_aligned1(uint64_t address) {
  Bytes bytes = Bytes(address);
  return uint(bytes.at[0]) | uint(bytes.at[1]) << 8 | uint(bytes.at[2]) << 16 | uint(bytes.at[3]) << 24;
}
uint word_aligned2(uint64_t address) {
  Shorts shorts = Shorts(address);
  return uint(shorts.at[0]) | uint(shorts.at[1]) << 16;
}
uint word_aligned4(uint64_t address) { return Words(address).at[0]; }

// Four packed unsigned bytes as floats.
vec4 bytes_of(uint word) { return vec4(word & 255u, (word >> 8) & 255u, (word >> 16) & 255u, word >> 24); }
// Eight bits, one to a byte.
uvec2 spread(uint bits) {
  return uvec2((bits & 1u) | (bits & 2u) << 7 | (bits & 4u) << 14 | (bits & 8u) << 21, (bits >> 4 & 1u) | (bits & 32u) << 3 | (bits & 64u) << 10 | (bits & 128u) << 17);
}
uvec4 nibbles(uvec2 bytes) { return uvec4(bytes & 0x0f0f0f0fu, (bytes >> 4) & 0x0f0f0f0fu); }
