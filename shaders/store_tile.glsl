// The end of both mat-muls: 4 x 4 results of a thread go to their rows, with the bias, onto what is there or in its place.
  [[unroll]] for (uint j = 0; j < 4; ++j) {
    const uint input_row = first_input + thread / 16 + 16 * j;
    if (input_row >= p.count) continue;
    [[unroll]] for (uint i = 0; i < 4; ++i) {
      const uint out_row = first_row + thread % 16 + 16 * i;
      if (out_row >= p.rows) continue;
      const float sum = p.bias != 0 ? sums[i * 4 + j] + Floats(p.bias).at[out_row] : sums[i * 4 + j];
      Floats to = Floats(p.to + 4 * (uint64_t(input_row) * p.to_stride + out_row));
      to.at[0] = kAdd ? to.at[0] + sum : sum;
    }
  }
