// The SPIR-V of every shader, inside the program.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace assay::vulkan {

// The words of a shader by name ("gather.q4_k"), or nothing.
std::span<const std::uint32_t> find_shader(std::string_view name);

}  // namespace assay::vulkan
