// Mat-vec of integer formats: which kernel takes a format and so many inputs. The same for every vector instruction set.

template <class F, int N>
void matvec_best_n(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  if (chunks_of(weights.cols) <= kMostPreparedChunks) {
    if constexpr (kHasWholeScales<F>)
      return matvec_whole_n<F, N>(weights, inputs, begin, end, out);
    else if constexpr (kScalesSpan32<F>)
      return matvec_spans_n<F, N>(weights, inputs, begin, end, out);
  }
  matvec_levels_n<F, N>(weights, inputs, begin, end, out);
}

template <class F>
void matvec_levels(const WeightRows& weights, const Inputs& inputs, std::uint32_t begin, std::uint32_t end, const Outputs& out) {
  switch (inputs.count) {
    case 1: return matvec_best_n<F, 1>(weights, inputs, begin, end, out);
    case 2: return matvec_best_n<F, 2>(weights, inputs, begin, end, out);
    case 3: return matvec_best_n<F, 3>(weights, inputs, begin, end, out);
    default: return matvec_best_n<F, 4>(weights, inputs, begin, end, out);
  }
}
