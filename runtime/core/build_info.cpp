// BuildInfo from the header that scripts/cmake/BuildInfo.cmake writes at every build.
#include "runtime/core/build_info.h"

#include "assay_build_info.h"

namespace assay {

const BuildInfo& build_info() {
  static constexpr BuildInfo info{.version = ASSAY_VERSION,
                                  .commit = ASSAY_COMMIT,
                                  .is_dirty = ASSAY_DIRTY,
                                  .compiler = ASSAY_COMPILER,
                                  .build_type = ASSAY_BUILD_TYPE,
                                  .has_vulkan = ASSAY_VULKAN};
  return info;
}

std::string describe_version(const BuildInfo& info) {
  std::string text(info.version);
  text += " (commit ";
  text += info.commit;
  if (info.is_dirty) text += ", modified";
  return text + ")";
}

}  // namespace assay
