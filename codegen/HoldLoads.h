// Keeps what is computed from many loads beside them.
#pragma once

namespace llvm {
class Module;
} // namespace llvm

namespace attn::codegen {

/// In blocks with many loads, marks what is computed from them and needed behind a branch as needed in front of it.
///
/// LLVM sinks mathematics into the branch that wants its result (a store of rows that are there), but no load: a hundred
/// words, each with an element beside it, then wait in registers at the branch, where the element alone would.
void holdMathOfLoads(llvm::Module &module);

} // namespace attn::codegen
