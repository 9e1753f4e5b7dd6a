// cpuid and xgetbv behind detect_isa().
#include "runtime/core/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace assay {

#if defined(__x86_64__)
namespace {

struct CpuidLeaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidLeaf read_leaf(unsigned leaf, unsigned subleaf) {
  CpuidLeaf out;
  if (!__get_cpuid_count(leaf, subleaf, &out.eax, &out.ebx, &out.ecx, &out.edx)) return {};
  return out;
}

std::uint64_t read_xcr0() {
  std::uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

constexpr bool bit(unsigned word, int position) { return (word >> position) & 1u; }

}  // namespace

IsaSet detect_isa() {
  const CpuidLeaf features = read_leaf(1, 0);
  if (!bit(features.ecx, 27)) return 0;  // OSXSAVE: without it wide registers are not saved
  const std::uint64_t xcr0 = read_xcr0();
  const bool os_avx = (xcr0 & 0x6) == 0x6;
  const bool os_avx512 = (xcr0 & 0xe6) == 0xe6;
  const CpuidLeaf extended = read_leaf(7, 0);
  const CpuidLeaf extended1 = read_leaf(7, 1);

  IsaSet set = 0;
  const bool fma = bit(features.ecx, 12), f16c = bit(features.ecx, 29), bmi2 = bit(extended.ebx, 8);
  if (os_avx && bit(extended.ebx, 5) && fma && f16c && bmi2) set |= kIsaAvx2;
  if ((set & kIsaAvx2) && bit(extended1.eax, 4)) set |= kIsaAvxVnni;
  const bool f = bit(extended.ebx, 16), dq = bit(extended.ebx, 17), bw = bit(extended.ebx, 30), vl = bit(extended.ebx, 31);
  if ((set & kIsaAvx2) && os_avx512 && f && dq && bw && vl) {
    set |= kIsaAvx512;
    if (bit(extended.ecx, 11)) set |= kIsaAvx512Vnni;
    if (bit(extended.ecx, 1)) set |= kIsaAvx512Vbmi;
    if (bit(extended1.eax, 5)) set |= kIsaAvx512Bf16;
  }
  return set;
}

std::string hypervisor_signature() {
  if (!bit(read_leaf(1, 0).ecx, 31)) return {};
  CpuidLeaf leaf;
  __cpuid(0x40000000, leaf.eax, leaf.ebx, leaf.ecx, leaf.edx);
  std::string text;
  for (const unsigned word : {leaf.ebx, leaf.ecx, leaf.edx})
    for (int i = 0; i < 4; ++i) text += static_cast<char>(word >> (8 * i) & 0xff);
  return text.substr(0, text.find('\0'));
}
#else
IsaSet detect_isa() { return 0; }
std::string hypervisor_signature() { return {}; }
#endif

std::string describe_isa(IsaSet set) {
  struct Row {
    IsaBit bit;
    const char* name;
  };
  constexpr Row kRows[] = {{kIsaAvx2, "avx2"},           {kIsaAvxVnni, "avx_vnni"},       {kIsaAvx512, "avx512"},
                           {kIsaAvx512Vnni, "avx512_vnni"}, {kIsaAvx512Bf16, "avx512_bf16"}, {kIsaAvx512Vbmi, "avx512_vbmi"}};
  std::string text;
  for (const Row& row : kRows) {
    if (!(set & row.bit)) continue;
    if (!text.empty()) text += ' ';
    text += row.name;
  }
  return text.empty() ? "baseline" : text;
}

}  // namespace assay
