// What every per-ISA file includes before it opens its target region: nothing below may be compiled with its flags.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__x86_64__)
#pragma GCC diagnostic push  // gcc 12 warns inside its own header
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#include "runtime/core/bytes.h"
#include "runtime/core/half.h"
#include "runtime/kernels/cpu/dispatch.h"
#include "runtime/quant/all.h"
