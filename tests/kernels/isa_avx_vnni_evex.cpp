// The AVX-VNNI table in the encoding of AVX-512 with VL and VNNI: the same instructions otherwise.
#include "runtime/kernels/cpu/region.h"

#define ASSAY_VNNI "%{evex%}"
#define ASSAY_ISA_NAME "avx_vnni_evex"
#define ASSAY_ISA_NEEDS (kIsaAvx2 | kIsaAvx512 | kIsaAvx512Vnni)

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi2")
namespace assay::avx_vnni_evex {
#include "runtime/kernels/cpu/isa_avx2.inl.h"
}
#pragma GCC pop_options

namespace assay::avx_vnni_evex {
const Kernels& table();
#include "runtime/kernels/cpu/fill_table.inl.h"
}
