// The AVX-VNNI table: AVX2 whose multiply-adds of bytes end in 32 bits. They are written as instructions, in the encoding of processors
// without AVX-512.
#include "runtime/kernels/cpu/region.h"

#define ASSAY_VNNI "%{vex%}"
#define ASSAY_ISA_NAME "avx_vnni"
#define ASSAY_ISA_NEEDS (kIsaAvx2 | kIsaAvxVnni)

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi2")
namespace assay::avx_vnni {
#include "runtime/kernels/cpu/isa_avx2.inl.h"
}
#pragma GCC pop_options

namespace assay::avx_vnni {
#include "runtime/kernels/cpu/fill_table.inl.h"
}
