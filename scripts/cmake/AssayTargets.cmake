# How Assay's targets are made: one static library per floor folder, one program per app, one gtest binary per test folder.

add_library(assay_options INTERFACE)
target_include_directories(assay_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(assay_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wconversion -Wno-sign-conversion
  # Dequantisation must be bit-exact with the published decoders: no silent fused multiply-adds.
  -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(assay_options INTERFACE -Wno-restrict)  # gcc 12 sees overlaps in std::string's operator+ (PR 105651)
endif()
if(ASSAY_WERROR)
  target_compile_options(assay_options INTERFACE -Werror)
endif()
if(ASSAY_SANITIZE)
  target_compile_options(assay_options INTERFACE -fsanitize=${ASSAY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(assay_options INTERFACE -fsanitize=${ASSAY_SANITIZE})
endif()

if(ASSAY_FUZZ)
  target_compile_options(assay_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # The compiler looks for garbage only above 1 GB of it: a tenth of its time; no file of ours needs as much.
  target_compile_options(assay_options INTERFACE --param=ggc-min-heapsize=1000000)
endif()

# Programs, tests and light libraries spend their time in what lies below them: with less optimisation they compile in
# less than half the time.
add_library(assay_light_flags INTERFACE)
target_compile_options(assay_light_flags INTERFACE $<$<CONFIG:Release>:-Og>)

# What nearly every file reads is compiled once. Preset dev does without, and so finds what a file forgets to include.
option(ASSAY_PCH "Precompile the headers that nearly every file reads" ON)
add_library(assay_precompiled_flags INTERFACE)
if(ASSAY_PCH AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # gcc 12 sees these in std::string and std::optional where their headers were precompiled.
  target_compile_options(assay_precompiled_flags INTERFACE -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-maybe-uninitialized)
endif()
set(assay_precompiled_library
  <algorithm> <array> <chrono> <cmath> <cstdint> <cstdio> <cstring> <filesystem> <functional> <limits> <map> <memory> <optional> <set> <span>
  <string> <string_view> <utility> <variant> <vector> ${CMAKE_SOURCE_DIR}/runtime/core/error.h)
set(assay_precompiled_program
  <fmt/format.h> <fstream> <iostream> <sstream> ${assay_precompiled_library}
  ${CMAKE_SOURCE_DIR}/runtime/core/command_line.h ${CMAKE_SOURCE_DIR}/runtime/core/json.h)
set(assay_precompiled_test <gtest/gtest.h> ${assay_precompiled_program})
# assay_precompiled(test assay_light_flags GTest::gtest) makes the target assay_pch_test, from whose list above the others borrow.
function(assay_precompiled kind)
  if(ASSAY_PCH)
    add_library(assay_pch_${kind} STATIC ${CMAKE_SOURCE_DIR}/scripts/cmake/precompiled.cpp)
    target_link_libraries(assay_pch_${kind} PRIVATE assay_options assay_precompiled_flags ${ARGN})
    target_precompile_headers(assay_pch_${kind} PRIVATE ${assay_precompiled_${kind}})
  endif()
endfunction()
function(assay_use_precompiled target kind)
  if(ASSAY_PCH)
    target_link_libraries(${target} PRIVATE assay_precompiled_flags)
    target_precompile_headers(${target} REUSE_FROM assay_pch_${kind})
  endif()
endfunction()

# assay_library(core SOURCES a.cpp DEPS assay_x PRIVATE_DEPS TBB::tbb) makes the static library assay_core. LIGHT: nothing
# in it is called often enough to need full optimisation. OWN_HEADERS: sees no precompiled ones.
function(assay_library name)
  cmake_parse_arguments(ARG "LIGHT;OWN_HEADERS" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(assay_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(assay_${name} PUBLIC assay_options ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  if(ARG_LIGHT)
    target_link_libraries(assay_${name} PRIVATE assay_light_flags)
    assay_use_precompiled(assay_${name} program)
  elseif(NOT ARG_OWN_HEADERS)
    assay_use_precompiled(assay_${name} library)
  endif()
endfunction()

# assay_program(generate SOURCES generate.cpp DEPS assay_engine) makes bin/generate.
function(assay_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE assay_options assay_light_flags ${ARG_DEPS})
  assay_use_precompiled(${name} program)
endfunction()

# assay_test(formats SOURCES gguf_test.cpp DEPS assay_formats LABELS unit) makes bin/test_formats, a gtest binary.
function(assay_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  # An empty list would vanish from PROPERTIES and take the next word for its value.
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  add_executable(test_${name} ${ARG_SOURCES})
  target_link_libraries(test_${name} PRIVATE assay_options assay_light_flags assay_test_support ${ARG_DEPS} GTest::gtest_main)
  assay_use_precompiled(test_${name} test)
  gtest_discover_tests(test_${name} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${name}." PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 300)
endfunction()
