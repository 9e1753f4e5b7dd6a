// The AVX2 table (with FMA and F16C).
#include "runtime/kernels/cpu/region.h"

#include <immintrin.h>

#define ASSAY_ISA_NAME "avx2"
#define ASSAY_ISA_NEEDS kIsaAvx2
#define ASSAY_FILL_MATMUL(traits) \
  row.matmul = matmul<traits>;    \
  row.packing = traits::kPacking;

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi2")
namespace assay::avx2 {
namespace {
#include "runtime/kernels/cpu/lanes_avx2.inl.h"
#include "runtime/kernels/cpu/chunk.inl.h"
#include "runtime/kernels/cpu/chunk_avx2.inl.h"
#include "runtime/kernels/cpu/affines.inl.h"
#include "runtime/kernels/cpu/points.inl.h"
#include "runtime/kernels/cpu/reader.inl.h"
#include "runtime/kernels/cpu/readers_avx2.inl.h"
#include "runtime/kernels/cpu/readers_avx2_codes.inl.h"
#include "runtime/kernels/cpu/vector.inl.h"
#include "runtime/kernels/cpu/whole_scales.inl.h"
#include "runtime/kernels/cpu/spans.inl.h"
#include "runtime/kernels/cpu/matvec_avx2.inl.h"
#include "runtime/kernels/cpu/matvec.inl.h"
#include "runtime/kernels/cpu/attention.inl.h"
#include "runtime/kernels/cpu/pack.inl.h"
#include "runtime/kernels/cpu/dequantize.inl.h"
#include "runtime/kernels/cpu/matmul_avx2.inl.h"
}  // namespace
#include "runtime/kernels/cpu/fill_table.inl.h"
}  // namespace assay::avx2
#pragma GCC pop_options
