// The format rows of one ISA's table. Outside its target region: every processor runs this.

template <class F>
void fill_levels(Kernels& kernels) {
  FormatKernels& row = kernels.formats[static_cast<std::size_t>(F::kId)];
  row.matvec = matvec_levels<F>;
  row.takes_levels = true;
  row.takes_whole_scales = kHasWholeScales<F>;
  row.dequantize = dequantize_levels<F, false>;
  row.dequantize_streaming = dequantize_levels<F, true>;
  ASSAY_FILL_MATMUL(LevelTraits<F>)
}
template <class... F>
void fill_all_levels(Kernels& kernels, FormatList<F...>) {
  (fill_levels<F>(kernels), ...);
}

template <class F>
void fill_floats(Kernels& kernels) {
  FormatKernels& row = kernels.formats[static_cast<std::size_t>(F::kId)];
  row.matvec = matvec_floats<F>;
  row.dequantize = dequantize_floats<F, false>;
  row.dequantize_streaming = dequantize_floats<F, true>;
  ASSAY_FILL_MATMUL(FloatTraits<F>)
}

Kernels make_table(std::string_view name, IsaSet needs) {
  Kernels kernels;
  kernels.name = name;
  kernels.needs = needs;
  fill_floats<F32>(kernels);
  fill_floats<F16>(kernels);
  fill_floats<BF16>(kernels);
  fill_all_levels(kernels, BlockFormats{});
  fill_all_levels(kernels, MlxFormats{});
  kernels.quantize = quantize;
  kernels.pack = pack;
  kernels.rms_norm = rms_norm;
  kernels.layer_norm = layer_norm;
  kernels.rotate = rotate;
  kernels.gate_up = gate_up;
  kernels.gate_up_gelu = gate_up_gelu;
  kernels.gate_up_clamped = gate_up_clamped;
  kernels.soft_cap = soft_cap;
  kernels.attend = attend;
  kernels.store_kv = store_kv;
  return kernels;
}

const Kernels& table() {
  static const Kernels kernels = make_table(ASSAY_ISA_NAME, ASSAY_ISA_NEEDS);
  return kernels;
}
