# Compile options of every target, and the functions that declare targets.
#   attn_add_library(name sources… LINK_LIBS …)            a static library free of LLVM
#   attn_add_compiler_library(name sources… LINK_LIBS …)   one that includes LLVM or MLIR headers
#   attn_add_tool(name sources… LINK_LIBS …)               a program in build/bin
#   attn_add_unit_test(name sources… LINK_LIBS …)          a GoogleTest program, its cases known to ctest
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")      # asserts on our own mistakes stay on: they cost little
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(ATTN_CCACHE ccache)
if(ATTN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${ATTN_CCACHE})
endif()

find_package(fmt 9.1 REQUIRED)
find_package(Threads REQUIRED)
if(ATTN_ENABLE_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

add_compile_options(-Wall -Wextra -fdiagnostics-color=auto -ffunction-sections -fdata-sections)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-fpch-preprocess -Wno-psabi)
endif()
if(ATTN_WARNINGS_AS_ERRORS)
  add_compile_options(-Werror)
endif()
add_link_options(-Wl,--gc-sections)
find_program(ATTN_MOLD mold)
if(ATTN_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

include_directories(${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}
                    ${PROJECT_BINARY_DIR}/include)

# fmt, linked statically where its version is the one that support/FmtLibrary.cpp knows how to build.
set(ATTN_FMT_IS_STATIC OFF)
if(fmt_VERSION VERSION_LESS 10)
  set(ATTN_FMT_IS_STATIC ON)
  add_library(attn_fmt STATIC ${PROJECT_SOURCE_DIR}/support/FmtLibrary.cpp)
  target_compile_definitions(attn_fmt PUBLIC $<BUILD_INTERFACE:$<TARGET_PROPERTY:fmt::fmt,INTERFACE_COMPILE_DEFINITIONS>>)
  target_include_directories(attn_fmt SYSTEM PUBLIC $<BUILD_INTERFACE:$<TARGET_PROPERTY:fmt::fmt,INTERFACE_INCLUDE_DIRECTORIES>>)
else()
  add_library(attn_fmt INTERFACE)
  target_link_libraries(attn_fmt INTERFACE fmt::fmt)
endif()

function(attn_add_library name)
  cmake_parse_arguments(ARG "" "" "LINK_LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK_LIBS} attn_fmt)
endfunction()

function(attn_add_compiler_library name)
  attn_add_library(${name} ${ARGN})
  target_link_libraries(${name} PUBLIC attn_mlir)
  target_precompile_headers(${name} REUSE_FROM attn_pch)
endfunction()

function(attn_add_tool name)
  cmake_parse_arguments(ARG "" "" "LINK_LIBS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK_LIBS} attn_fmt)
endfunction()

function(attn_add_unit_test name)
  cmake_parse_arguments(ARG "" "" "LINK_LIBS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK_LIBS} GTest::gtest GTest::gtest_main attn_fmt)
  target_compile_definitions(${name} PRIVATE ATTN_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60)
endfunction()
