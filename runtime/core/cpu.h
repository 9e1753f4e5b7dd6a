// What the processor can do: instruction sets as the CPU and the OS both allow them.
#pragma once

#include <cstdint>
#include <string>

namespace assay {

// Bits of an IsaSet. A kernel table states the bits it needs.
enum IsaBit : std::uint32_t {
  kIsaAvx2 = 1u << 0,  // with FMA, F16C and BMI2
  kIsaAvxVnni = 1u << 1,
  kIsaAvx512 = 1u << 2,  // F, BW, DQ, VL
  kIsaAvx512Vnni = 1u << 3,
  kIsaAvx512Bf16 = 1u << 4,
  kIsaAvx512Vbmi = 1u << 5,
};
using IsaSet = std::uint32_t;

// From cpuid and xgetbv; cheap, call it freely.
IsaSet detect_isa();

// "avx2 avx512 avx512_vnni ..." in bit order, "baseline" when nothing beyond x86-64 is there.
std::string describe_isa(IsaSet set);

// The signature a hypervisor gives to its guests ("KVMKVMKVM"), empty on bare metal.
std::string hypervisor_signature();

}  // namespace assay
