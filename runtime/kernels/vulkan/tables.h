// The look-up tables of grid and code formats as one piece of bytes, at the offsets that shaders/fmt/{grids,nf4,fp4}.glsl expect.
#pragma once

#include <cstddef>
#include <vector>

namespace assay::vulkan {

std::vector<std::byte> format_tables();

}  // namespace assay::vulkan
