// The table of plain AVX-512: F, BW, DQ and VL.
#include "runtime/kernels/cpu/region.h"

#define ASSAY_ISA_NAME "avx512"
#define ASSAY_ISA_NEEDS (kIsaAvx2 | kIsaAvx512)

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl")
namespace assay::avx512 {
#include "runtime/kernels/cpu/isa_avx512.inl.h"
}
#pragma GCC pop_options

namespace assay::avx512 {
#include "runtime/kernels/cpu/fill_table.inl.h"
}
