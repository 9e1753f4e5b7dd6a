// The kernels of 256-bit registers, for AVX2 and for AVX-VNNI: included in the namespace of one of them.
#define ASSAY_FILL_MATMUL(traits) \
  row.matmul = matmul<traits>;    \
  row.packing = traits::kPacking;

namespace {
#include "runtime/kernels/cpu/lanes_avx2.inl.h"
#include "runtime/kernels/cpu/chunk.inl.h"
#include "runtime/kernels/cpu/chunk_avx2.inl.h"
#include "runtime/kernels/cpu/affines.inl.h"
#include "runtime/kernels/cpu/points.inl.h"
#include "runtime/kernels/cpu/reader.inl.h"
#include "runtime/kernels/cpu/readers_avx2.inl.h"
#include "runtime/kernels/cpu/readers_avx2_codes.inl.h"
#include "runtime/kernels/cpu/words_avx2.inl.h"
#include "runtime/kernels/cpu/vector.inl.h"
#include "runtime/kernels/cpu/whole_scales.inl.h"
#include "runtime/kernels/cpu/spans.inl.h"
#include "runtime/kernels/cpu/matvec_avx2.inl.h"
#include "runtime/kernels/cpu/matvec.inl.h"
#include "runtime/kernels/cpu/attention.inl.h"
#include "runtime/kernels/cpu/pack.inl.h"
#include "runtime/kernels/cpu/dequantize.inl.h"
#include "runtime/kernels/cpu/float_tile.inl.h"
#include "runtime/kernels/cpu/matmul.inl.h"
}  // namespace
