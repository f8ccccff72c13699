// What a PtxModule holds: the tree and the decoded entries.
#pragma once

#include "runtime/emulator/Program.h"

#include <memory>
#include <vector>

namespace attn::emulator {

struct PtxModule::Content {
  std::unique_ptr<ptx::Module> tree;
  std::vector<EntryInfo> entries;
  std::vector<std::unique_ptr<Program>> programs; ///< as `entries`
};

} // namespace attn::emulator
