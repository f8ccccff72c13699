# The one file that finds LLVM, MLIR and lit. Everything that includes their headers links `attn_mlir`,
# which is libMLIR.so and libLLVM.so, or with ATTN_STATIC_COMPILER the archives in one group.
find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
message(STATUS "MLIR ${LLVM_PACKAGE_VERSION} in ${MLIR_DIR}")
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
find_program(LLVM_EXTERNAL_LIT NAMES lit HINTS ${LLVM_TOOLS_BINARY_DIR} NO_DEFAULT_PATH)
include(TableGen)
include(AddLLVM)
include(AddMLIR)

add_library(attn_mlir INTERFACE)
target_include_directories(attn_mlir SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
separate_arguments(ATTN_LLVM_DEFINITIONS NATIVE_COMMAND "${LLVM_DEFINITIONS}")
target_compile_definitions(attn_mlir INTERFACE ${ATTN_LLVM_DEFINITIONS})
if(ATTN_STATIC_COMPILER)
  file(GLOB ATTN_MLIR_ARCHIVES ${LLVM_LIBRARY_DIRS}/libMLIR*.a)
  execute_process(COMMAND ${LLVM_TOOLS_BINARY_DIR}/llvm-config --link-static --libfiles nvptx passes irreader bitreader bitwriter
                          support core analysis target frontendopenmp
                  OUTPUT_VARIABLE ATTN_LLVM_ARCHIVES OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(ATTN_LLVM_ARCHIVES NATIVE_COMMAND "${ATTN_LLVM_ARCHIVES}")
  target_link_libraries(attn_mlir INTERFACE -Wl,--start-group ${ATTN_MLIR_ARCHIVES} ${ATTN_LLVM_ARCHIVES} -Wl,--end-group
                        -lz -lzstd -lm -ldl Threads::Threads)
  target_link_options(attn_mlir INTERFACE -static-libstdc++ -static-libgcc)
else()
  target_link_libraries(attn_mlir INTERFACE MLIR LLVM)
endif()

# One precompiled header for all compiler libraries.
file(WRITE ${PROJECT_BINARY_DIR}/attn_pch.cpp "")
add_library(attn_pch STATIC ${PROJECT_BINARY_DIR}/attn_pch.cpp)
target_link_libraries(attn_pch PUBLIC attn_mlir attn_fmt)
target_precompile_headers(attn_pch PRIVATE
  <mlir/IR/Builders.h> <mlir/IR/BuiltinAttributes.h> <mlir/IR/BuiltinOps.h> <mlir/IR/BuiltinTypes.h>
  <mlir/IR/Diagnostics.h> <mlir/IR/DialectImplementation.h> <mlir/IR/OpImplementation.h> <mlir/IR/PatternMatch.h>
  <mlir/Pass/Pass.h> <mlir/Pass/PassManager.h>
  <mlir/Dialect/Arith/IR/Arith.h> <mlir/Dialect/Math/IR/Math.h> <mlir/Dialect/SCF/IR/SCF.h>
  <mlir/Dialect/Func/IR/FuncOps.h> <mlir/Dialect/Vector/IR/VectorOps.h>
  <llvm/ADT/DenseMap.h> <llvm/ADT/TypeSwitch.h> <llvm/Support/SourceMgr.h>
  <map> <memory> <optional> <string> <vector>)
