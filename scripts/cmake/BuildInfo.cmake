# Run at every build: asks git for the commit and rewrites OUTPUT only when something changed, so that nothing rebuilds idly.
set(commit "unknown")
set(dirty "false")
find_program(GIT git)
if(GIT)
  execute_process(COMMAND ${GIT} -C ${SOURCE_DIR} rev-parse --short=12 HEAD
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed)
    set(commit "${found}")
    execute_process(COMMAND ${GIT} -C ${SOURCE_DIR} --no-optional-locks status --porcelain --untracked-files=no
      OUTPUT_VARIABLE changes OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(changes)
      set(dirty "true")
    endif()
  endif()
endif()
set(text "// Written by scripts/cmake/BuildInfo.cmake at every build.
#define ASSAY_VERSION \"${VERSION}\"
#define ASSAY_COMMIT \"${commit}\"
#define ASSAY_DIRTY ${dirty}
#define ASSAY_COMPILER \"${COMPILER}\"
#define ASSAY_BUILD_TYPE \"${BUILD_TYPE}\"
#define ASSAY_VULKAN ${VULKAN}
")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT "${old}" STREQUAL "${text}")
  file(WRITE ${OUTPUT} "${text}")
endif()
