// The tables of AVX-512 with VNNI (and F, BW, DQ, VL), and with BF16 on top.
#include "runtime/kernels/cpu/region.h"

#define ASSAY_VNNI
#define ASSAY_ISA_NAME "avx512_vnni"
#define ASSAY_ISA_NEEDS (kIsaAvx2 | kIsaAvx512 | kIsaAvx512Vnni)

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
namespace assay::avx512_vnni {
#include "runtime/kernels/cpu/isa_avx512.inl.h"
namespace {
#include "runtime/kernels/cpu/matmul_avx512_bf16.inl.h"
#include "runtime/kernels/cpu/attention_avx512_bf16.inl.h"
}  // namespace
}  // namespace assay::avx512_vnni
#pragma GCC pop_options

namespace assay::avx512_vnni {
#include "runtime/kernels/cpu/fill_table.inl.h"

const Kernels& bf16_table() {
  static const Kernels kernels = [] {
    Kernels with_bf16 = table();
    with_bf16.name = "avx512_bf16";
    with_bf16.needs |= kIsaAvx512Bf16;
    FormatKernels& row = with_bf16.formats[static_cast<std::size_t>(FormatId::BF16)];
    row.matmul = matmul<BfloatTraits>;
    row.packing = BfloatTraits::kPacking;
    with_bf16.attend_many = attend_many;
    return with_bf16;
  }();
  return kernels;
}
}  // namespace assay::avx512_vnni
