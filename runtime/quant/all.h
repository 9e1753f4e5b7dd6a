// Every weight format: the lists of their structs, and visit(), the one switch over FormatId.
#pragma once

#include <type_traits>
#include <utility>

#include "runtime/core/assert.h"
#include "runtime/quant/elements.h"
#include "runtime/quant/fp8.h"
#include "runtime/quant/iq1_m.h"
#include "runtime/quant/iq1_s.h"
#include "runtime/quant/iq2_s.h"
#include "runtime/quant/iq2_xs.h"
#include "runtime/quant/iq2_xxs.h"
#include "runtime/quant/iq3_s.h"
#include "runtime/quant/iq3_xxs.h"
#include "runtime/quant/iq4_nl.h"
#include "runtime/quant/iq4_xs.h"
#include "runtime/quant/mlx_affine.h"
#include "runtime/quant/mxfp4.h"
#include "runtime/quant/nf4.h"
#include "runtime/quant/nvfp4.h"
#include "runtime/quant/q1_0.h"
#include "runtime/quant/q2_k.h"
#include "runtime/quant/q3_k.h"
#include "runtime/quant/q4_0.h"
#include "runtime/quant/q4_1.h"
#include "runtime/quant/q4_k.h"
#include "runtime/quant/q5_0.h"
#include "runtime/quant/q5_1.h"
#include "runtime/quant/q5_k.h"
#include "runtime/quant/q6_k.h"
#include "runtime/quant/q8_0.h"
#include "runtime/quant/tq1_0.h"
#include "runtime/quant/tq2_0.h"

namespace assay {

template <class... Formats>
struct FormatList {};

using ElementFormats = FormatList<F32, F16, BF16, F64, I8>;
using BlockFormats = FormatList<Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q1_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ1_S, IQ1_M, IQ2_XXS,
                                IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ4_NL, IQ4_XS, TQ1_0, TQ2_0, MXFP4, NVFP4>;
using MlxFormats = FormatList<MLX_Q2, MLX_Q3, MLX_Q4, MLX_Q5, MLX_Q6, MLX_Q8>;
using SideFormats = FormatList<MLX_Q2, MLX_Q3, MLX_Q4, MLX_Q5, MLX_Q6, MLX_Q8, F8_E4M3, F8_E5M2, NF4, FP4>;

// Calls f(std::type_identity<F>{}) for every F of a list, in order.
template <class... Formats, class Function>
void for_each_format(FormatList<Formats...>, Function&& f) {
  (f(std::type_identity<Formats>{}), ...);
}

// Calls f(std::type_identity<Q4_K>{}) with the struct of `id` and returns its result. `id` must be a weight format
// (dtype_of(id).is_weight), which is checked: a file's type number is screened where the file is opened or bound.
template <class Function>
decltype(auto) visit(FormatId id, Function&& f) {
  switch (id) {
#define ASSAY_VISIT(F) \
  case FormatId::F:    \
    return f(std::type_identity<F>{})
    ASSAY_VISIT(F32);
    ASSAY_VISIT(F16);
    ASSAY_VISIT(BF16);
    ASSAY_VISIT(F64);
    ASSAY_VISIT(I8);
    ASSAY_VISIT(F8_E4M3);
    ASSAY_VISIT(F8_E5M2);
    ASSAY_VISIT(Q4_0);
    ASSAY_VISIT(Q4_1);
    ASSAY_VISIT(Q5_0);
    ASSAY_VISIT(Q5_1);
    ASSAY_VISIT(Q8_0);
    ASSAY_VISIT(Q1_0);
    ASSAY_VISIT(Q2_K);
    ASSAY_VISIT(Q3_K);
    ASSAY_VISIT(Q4_K);
    ASSAY_VISIT(Q5_K);
    ASSAY_VISIT(Q6_K);
    ASSAY_VISIT(IQ1_S);
    ASSAY_VISIT(IQ1_M);
    ASSAY_VISIT(IQ2_XXS);
    ASSAY_VISIT(IQ2_XS);
    ASSAY_VISIT(IQ2_S);
    ASSAY_VISIT(IQ3_XXS);
    ASSAY_VISIT(IQ3_S);
    ASSAY_VISIT(IQ4_NL);
    ASSAY_VISIT(IQ4_XS);
    ASSAY_VISIT(TQ1_0);
    ASSAY_VISIT(TQ2_0);
    ASSAY_VISIT(MXFP4);
    ASSAY_VISIT(NVFP4);
    ASSAY_VISIT(MLX_Q2);
    ASSAY_VISIT(MLX_Q3);
    ASSAY_VISIT(MLX_Q4);
    ASSAY_VISIT(MLX_Q5);
    ASSAY_VISIT(MLX_Q6);
    ASSAY_VISIT(MLX_Q8);
    ASSAY_VISIT(NF4);
    ASSAY_VISIT(FP4);
#undef ASSAY_VISIT
    default:
      check_failed("visit() is given a weight format", __FILE__, __LINE__);
  }
}

}  // namespace assay
