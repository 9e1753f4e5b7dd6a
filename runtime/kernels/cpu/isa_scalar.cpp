// The plain table: baseline x86-64, the truth for the others.
#include "runtime/kernels/cpu/region.h"

#define ASSAY_ISA_NAME "scalar"
#define ASSAY_ISA_NEEDS 0
#define ASSAY_FILL_MATMUL(traits) (void)row;

namespace assay::scalar {
namespace {
#include "runtime/kernels/cpu/lanes_scalar.inl.h"
#include "runtime/kernels/cpu/chunk.inl.h"
#include "runtime/kernels/cpu/reader_scalar.inl.h"
#include "runtime/kernels/cpu/matvec_scalar.inl.h"
#include "runtime/kernels/cpu/vector.inl.h"
#include "runtime/kernels/cpu/attention.inl.h"
#include "runtime/kernels/cpu/pack.inl.h"
#include "runtime/kernels/cpu/dequantize.inl.h"
}  // namespace
#include "runtime/kernels/cpu/fill_table.inl.h"
}  // namespace assay::scalar
