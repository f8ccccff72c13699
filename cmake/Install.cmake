# What `cmake --install` puts where, and the CMake package `attnc`: targets attnc::runtime and attnc::c, and with the
# compiler attnc::jit and attnc::c_jit. Components: runtime, jit, tools (the command), developer (tools for work on the compiler itself).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(ATTN_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/attnc)

# Appends `target` and all targets of this project that linking it needs to the list `out`.
function(attn_collect_targets target out)
  get_target_property(imported ${target} IMPORTED)
  if(imported OR ${target} IN_LIST ${out})
    return()
  endif()
  list(APPEND ${out} ${target})
  get_target_property(libraries ${target} INTERFACE_LINK_LIBRARIES)
  foreach(library IN LISTS libraries)
    string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" library "${library}")
    if(TARGET "${library}")
      attn_collect_targets(${library} ${out})
    endif()
  endforeach()
  set(${out} ${${out}} PARENT_SCOPE)
endfunction()

set(ATTN_RUNTIME_TARGETS "")
attn_collect_targets(attn_runtime ATTN_RUNTIME_TARGETS)
set_target_properties(attn_runtime PROPERTIES EXPORT_NAME runtime)
target_include_directories(attn_support INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(attn_support INTERFACE cxx_std_20)
install(TARGETS ${ATTN_RUNTIME_TARGETS} EXPORT attncTargets ARCHIVE COMPONENT runtime)
# The runtime for C, a shared library.
set_target_properties(attn_c PROPERTIES EXPORT_NAME c)
install(TARGETS attn_c EXPORT attncTargets LIBRARY COMPONENT runtime)
install(EXPORT attncTargets NAMESPACE attnc:: DESTINATION ${ATTN_PACKAGE_DIR} COMPONENT runtime)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/attn DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT runtime
        FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_BINARY_DIR}/include/attn/Version.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/attn COMPONENT runtime)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/attncConfig.cmake.in ${PROJECT_BINARY_DIR}/attncConfig.cmake
                              INSTALL_DESTINATION ${ATTN_PACKAGE_DIR})
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/attncConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/attncConfig.cmake ${PROJECT_BINARY_DIR}/attncConfigVersion.cmake
        DESTINATION ${ATTN_PACKAGE_DIR} COMPONENT runtime)

if(TARGET attn_jit)
  set(ATTN_JIT_TARGETS "")
  attn_collect_targets(attn_jit ATTN_JIT_TARGETS)
  list(REMOVE_ITEM ATTN_JIT_TARGETS ${ATTN_RUNTIME_TARGETS})
  set_target_properties(attn_jit PROPERTIES EXPORT_NAME jit)
  set_target_properties(attn_c_jit PROPERTIES EXPORT_NAME c_jit)
  install(TARGETS ${ATTN_JIT_TARGETS} EXPORT attncJitTargets ARCHIVE COMPONENT jit)
  install(TARGETS attn_c_jit EXPORT attncJitTargets LIBRARY COMPONENT jit)
  install(EXPORT attncJitTargets NAMESPACE attnc:: DESTINATION ${ATTN_PACKAGE_DIR} COMPONENT jit)
endif()
if(TARGET attnc)
  install(TARGETS attnc RUNTIME COMPONENT tools)
endif()
if(TARGET attn-opt)
  install(TARGETS attn-opt RUNTIME COMPONENT developer)
endif()
