// Shortens lives in blocks that hold more numbers at once than a thread has registers.
#pragma once

namespace llvm {
class Module;
} // namespace llvm

namespace attn::codegen {

/// In such blocks, each number that one instruction alone takes is computed directly in front of it, if all that it is computed
/// from is needed then anyway: squares of a row are added as they are made, instead of standing beside the row.
///
/// Tiles are lowered one operation after the other, so a sum begins when all of its summands are there. The assembler finds
/// most of this by itself, and keeps in memory what it does not find.
void shortenLives(llvm::Module &module);

} // namespace attn::codegen
