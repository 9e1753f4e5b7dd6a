// The AVX2 table (with FMA, F16C and BMI2).
#include "runtime/kernels/cpu/region.h"

#define ASSAY_ISA_NAME "avx2"
#define ASSAY_ISA_NEEDS kIsaAvx2

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi2")
namespace assay::avx2 {
#include "runtime/kernels/cpu/isa_avx2.inl.h"
}
#pragma GCC pop_options

namespace assay::avx2 {
#include "runtime/kernels/cpu/fill_table.inl.h"
}
