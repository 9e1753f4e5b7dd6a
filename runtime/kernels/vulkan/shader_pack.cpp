// The pack that shaders/build.py writes, taken in as object data.
#include "runtime/kernels/vulkan/shader_pack.h"

#include <cstring>

// ASSAY_SHADER_PACK is the pack's path.
__asm__(
    ".section .rodata\n.balign 16\n.global assay_shader_pack\nassay_shader_pack:\n.incbin \"" ASSAY_SHADER_PACK
    "\"\n.global assay_shader_pack_end\nassay_shader_pack_end:\n.previous\n");
extern "C" const unsigned char assay_shader_pack[];
extern "C" const unsigned char assay_shader_pack_end[];

namespace assay::vulkan {

// Layout: count, then `count` rows sorted by name {name as 56 bytes padded with 0, offset in words from the start, words}.
std::span<const std::uint32_t> find_shader(std::string_view name) {
  struct Row {
    char name[56];
    std::uint32_t offset, words;
  };
  std::uint32_t count = 0;
  std::memcpy(&count, assay_shader_pack, sizeof(count));
  for (std::uint32_t low = 0, high = count; low < high;) {
    const std::uint32_t middle = (low + high) / 2;
    Row row;
    std::memcpy(&row, assay_shader_pack + 16 + middle * sizeof(Row), sizeof(row));
    const std::string_view found(row.name);
    if (found == name) return {reinterpret_cast<const std::uint32_t*>(assay_shader_pack) + row.offset, row.words};
    if (found < name)
      low = middle + 1;
    else
      high = middle;
  }
  return {};
}

}  // namespace assay::vulkan
