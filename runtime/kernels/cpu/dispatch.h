// The per-ISA tables that dispatch chooses from.
#pragma once

#include "runtime/kernels/cpu/table.h"

namespace assay {
namespace avx512_vnni {
const Kernels& table();
const Kernels& bf16_table();
}
namespace avx512 {
const Kernels& table();
}
namespace avx_vnni {
const Kernels& table();
}
namespace avx2 {
const Kernels& table();
}
namespace scalar {
const Kernels& table();
}
}  // namespace assay
