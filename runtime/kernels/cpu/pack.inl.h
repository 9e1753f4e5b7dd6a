// Inputs of a mat-mul, packed into panels.

// 32 values, `present` of them there, to levels; the two sums are of 16 levels each.
inline void pack_group(const float* from, std::uint32_t present, float inverse, std::uint8_t* levels, float (&sums)[2]) {
  const Vec wide = splat(inverse);
  for (std::uint32_t half = 0; half < 2; ++half) {
    const std::uint32_t at = 16 * half, left = at < present ? present - at : 0;
    const Vec x = left >= 16 ? load(from + at) : left > 0 ? load_part(from + at, left) : zero();
    const Vec level = rounded(mul(x, wide));
    sums[half] = reduce_add(level);
    store_rounded(reinterpret_cast<std::int8_t*>(levels) + at, level);
  }
}

// One column of a chunk; `present` values are there, none for an unused column.
inline void pack_column(const float* from, std::uint32_t present, Packing packing, std::uint32_t c, LevelPanel& to) {
  const std::uint32_t group = input_group_of(packing);
  const std::uint8_t flip = has_signed_bytes(packing) ? 0 : 0x80;  // levels + 128
  alignas(64) std::uint8_t levels[kChunk];
  float sums[kChunk / 32][2], scales[kChunk / 32], largest = 0;
  for (std::uint32_t at = 0; at < kChunk; at += group) {
    float top = 0;
    for (std::uint32_t i = at; i < at + group && i < present; i += 32) {
      const float top32 = top_magnitude(from + i, std::min(32u, present - i));
      top = larger_or_nan(top, top32);
    }
    if (top < kTinyInput) top = 0;
    largest = larger_or_nan(largest, top);
    const float inverse = top > 0 ? 127.0f / top : 0.0f;
    for (std::uint32_t i = at; i < at + group; i += 32) {
      scales[i / 32] = top / 127.0f;
      pack_group(from + (i < present ? i : 0), i < present ? present - i : 0, inverse, levels + i, sums[i / 32]);
    }
  }
  for (std::uint32_t g = 0; g < kChunk / 32; ++g) {
    to.scales[g][c] = scales[g];
    to.sums[g][c] = scales[g] * (sums[g][0] + sums[g][1]);
  }
  if (has_pairs(packing)) {
    const float pair_scale = largest / (127.0f * kPairSteps), to_pairs = largest > 0 ? 1.0f / pair_scale : 0.0f;
    to.pair_scales[c] = pair_scale;
    for (std::uint32_t g = 0; g < kChunk / 32; ++g) {
      const float low = scales[g] * sums[g][0], high = scales[g] * sums[g][1];
      to.pairs32[g / 2][c][g % 2] = static_cast<std::int16_t>(std::lrintf((low + high) * to_pairs));
      to.pairs16[g][c][0] = static_cast<std::int16_t>(std::lrintf(low * to_pairs));
      to.pairs16[g][c][1] = static_cast<std::int16_t>(std::lrintf(high * to_pairs));
    }
  }
  for (std::uint8_t& level : levels) level ^= flip;
  for (std::uint32_t k = 0; k < kChunk / 4; ++k) std::memcpy(to.levels[k][c], levels + 4 * k, 4);
}

inline void pack_levels(const float* values, std::uint32_t cols, Packing packing, std::uint32_t chunk, std::uint32_t first_input, std::uint32_t inputs, LevelPanel& to) {
  const std::uint32_t first = chunk * kChunk, present = std::min(kChunk, cols - first);
#ifdef ASSAY_PACKS_WHOLE_PANELS
  if (present == kChunk && inputs == kPanel) return pack_whole_panel(values + std::size_t{first_input} * cols + first, cols, packing, to);
#endif
  for (std::uint32_t c = 0; c < kPanel; ++c) {
    const bool used = c < inputs;
    pack_column(values + std::size_t{first_input + (used ? c : 0)} * cols + first, used ? present : 0, packing, c, to);
  }
}

inline void widen(const LevelPanel& from, WordPanel& to) {
  for (std::uint32_t k = 0; k < kChunk; ++k)
    for (std::uint32_t c = 0; c < kPanel; ++c) to.levels[k / 2][c][k % 2] = static_cast<std::int8_t>(from.levels[k / 4][c][k % 4]);
  std::memcpy(to.scales, from.scales, sizeof to.scales);
  std::memcpy(to.sums, from.sums, sizeof to.sums);
}

inline std::uint16_t to_bfloat(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t nan = (bits & 0x7fffffffu) > 0x7f800000u ? 0x00400000u : 0u;
  return static_cast<std::uint16_t>((nan ? bits | nan : bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// Floats as they are, or rounded to bfloat16 in pairs.
template <class Panel>
void pack_values(const float* values, std::uint32_t cols, std::uint32_t chunk, std::uint32_t first_input, std::uint32_t inputs, Panel& to) {
  constexpr bool kPairs = std::is_same_v<Panel, BfloatPanel>;
  const std::uint32_t first = chunk * kChunk, present = std::min(kChunk, cols - first);
  for (std::uint32_t c = 0; c < kPanel; ++c) {
    alignas(64) std::uint32_t words[kPairs ? kChunk / 2 : kChunk] = {};
    if (c < inputs) {
      const float* from = values + std::size_t{first_input + c} * cols + first;
      if constexpr (kPairs) {
        alignas(64) std::uint16_t halves[kChunk] = {};
        for (std::uint32_t k = 0; k < present; ++k) halves[k] = to_bfloat(from[k]);
        std::memcpy(words, halves, sizeof words);
      } else {
        std::memcpy(words, from, present * sizeof(float));
      }
    }
    for (std::uint32_t k = 0; k < std::size(words); ++k) std::memcpy(&to.values[k][c], &words[k], 4);
  }
}

void pack(const float* values, const PackedInputs& packed, std::uint32_t panel) {
  const std::uint32_t first = panel * kPanel, inputs = std::min(kPanel, packed.count - first);
  for (std::uint32_t chunk = 0; chunk < chunks_of(packed.cols); ++chunk) {
    if (has_byte_levels(packed.packing)) {
      pack_levels(values, packed.cols, packed.packing, chunk, first, inputs, *packed.panel<LevelPanel>(chunk, panel));
    } else if (packed.packing == Packing::words32) {
      LevelPanel narrow;
      pack_levels(values, packed.cols, Packing::signed32, chunk, first, inputs, narrow);
      widen(narrow, *packed.panel<WordPanel>(chunk, panel));
    } else if (packed.packing == Packing::floats) {
      pack_values(values, packed.cols, chunk, first, inputs, *packed.panel<FloatPanel>(chunk, panel));
    } else {
      pack_values(values, packed.cols, chunk, first, inputs, *packed.panel<BfloatPanel>(chunk, panel));
    }
  }
}
