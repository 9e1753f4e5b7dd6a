// The kernels of 512-bit registers, with and without VNNI: included in the namespace of one of them.
#define ASSAY_PACKS_WHOLE_PANELS
#define ASSAY_FILL_MATMUL(traits) \
  row.matmul = matmul<traits>;    \
  row.packing = traits::kPacking;

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
#include "runtime/kernels/cpu/words_avx512.inl.h"
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
#include "runtime/kernels/cpu/float_tile.inl.h"
#ifdef ASSAY_VNNI
#include "runtime/kernels/cpu/unpack_avx512_vnni.inl.h"
#include "runtime/kernels/cpu/matmul_avx512_vnni.inl.h"
#else
#include "runtime/kernels/cpu/matmul.inl.h"
#endif
}  // namespace
