// Tables of what an integer expression can be: a bucket of a distance by logarithms, say, of which there are a few hundred
// values whatever the distance. They are known when compiling, so a kernel reads them instead.
#pragma once

#include "mlir/IR/Block.h"

namespace attn {

/// Replaces each i32 in `block` that takes transcendental functions, if it is a function of one i32 and constants alone and
/// proved to be constant from somewhere on either side of 0, by a read of a constant table. Comparisons of what is read with
/// constants that hold for the whole table are decided, and accesses that depend on such a one take place always.
void tabulateIntegers(mlir::Block &block);

} // namespace attn
