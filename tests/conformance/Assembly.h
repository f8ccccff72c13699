// What is asked of a kernel's machine code: it assembles, its products are not serialised, and it spills no more than
// Spills.def says. For tests that have compiled it anyway, and for those that do nothing else.
#pragma once

#include <cstdint>
#include <string>

namespace attn::conformance {

/// PTX of one plan, and what it is.
struct AssemblySubject {
  std::string name;             ///< in Spills.def: `suite.group_name_type`
  std::string kernel;           ///< its kernels' names start with it
  std::string compiledFor;      ///< the target that it was compiled for
  std::string assembledFor;     ///< the same, or a later one of the line
  std::int64_t longestRow = 0;  ///< of a key or a value
};

/// Whether there is a ptxas; without one nothing can be checked.
bool canAssemble();

/// Records a failure of the running test for each thing that is not as it should be. Text that differs from an earlier one of
/// this process in the kernels' name alone is not assembled again: its report is that of the other.
void checkAssembly(const std::string &ptx, const AssemblySubject &subject);

} // namespace attn::conformance
