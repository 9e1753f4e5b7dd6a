// The AVX-512 tables: F, BW, DQ, VL and VNNI; and with BF16 on top.
#include "runtime/kernels/cpu/region.h"

// gcc 12 warns inside its own header.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#define ASSAY_ISA_NAME "avx512"
#define ASSAY_ISA_NEEDS (kIsaAvx2 | kIsaAvx512 | kIsaAvx512Vnni)
#define ASSAY_PACKS_WHOLE_PANELS
#define ASSAY_FILL_MATMUL(traits) \
  row.matmul = matmul<traits>;    \
  row.packing = traits::kPacking;

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
namespace assay::avx512 {
namespace {
#include "runtime/kernels/cpu/lanes_avx512.inl.h"
#include "runtime/kernels/cpu/chunk.inl.h"
#include "runtime/kernels/cpu/chunk_avx512.inl.h"
#include "runtime/kernels/cpu/affines.inl.h"
#include "runtime/kernels/cpu/points.inl.h"
#include "runtime/kernels/cpu/reader.inl.h"
#include "runtime/kernels/cpu/readers_avx512.inl.h"
#include "runtime/kernels/cpu/readers_avx512_grids.inl.h"
#include "runtime/kernels/cpu/readers_avx512_streams.inl.h"
#include "runtime/kernels/cpu/readers_avx512_tables.inl.h"
#include "runtime/kernels/cpu/vector.inl.h"
#include "runtime/kernels/cpu/whole_scales.inl.h"
#include "runtime/kernels/cpu/spans.inl.h"
#include "runtime/kernels/cpu/readers_avx512_ordered.inl.h"
#include "runtime/kernels/cpu/matvec_avx512.inl.h"
#include "runtime/kernels/cpu/matvec.inl.h"
#include "runtime/kernels/cpu/attention.inl.h"
#include "runtime/kernels/cpu/pack_avx512.inl.h"
#include "runtime/kernels/cpu/pack.inl.h"
#include "runtime/kernels/cpu/dequantize_avx512.inl.h"
#include "runtime/kernels/cpu/unpack_avx512.inl.h"
#include "runtime/kernels/cpu/matmul_avx512.inl.h"
#include "runtime/kernels/cpu/matmul_avx512_bf16.inl.h"
#include "runtime/kernels/cpu/attention_avx512_bf16.inl.h"
}  // namespace
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
}  // namespace assay::avx512
#pragma GCC pop_options
#pragma GCC diagnostic pop
