// ASSAY_CHECK: states what the program itself guarantees; on in release. File content never reaches it.
#pragma once

namespace assay {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}

#define ASSAY_CHECK(condition) ((condition) ? void(0) : ::assay::check_failed(#condition, __FILE__, __LINE__))
