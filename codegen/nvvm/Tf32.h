// f32 as numbers of tf32, which tensor cores multiply (DotTf32.cpp): x = high + low, and a product as three.
#pragma once

#include "codegen/nvvm/KernelContext.h"

namespace attn::codegen {

/// An operand's register as numbers of tf32, i32 each; `low` is null where rounding to tf32 is asked for.
struct Tf32Parts {
  mlir::Value high, low;
};

/// What of two operands is multiplied, in the order in which it is added up.
enum class Tf32Product { LowHigh, HighLow, HighHigh };

/// Those that a kernel does: all three, or where it rounds to tf32 the last.
llvm::ArrayRef<Tf32Product> tf32Products(const KernelContext &kernel);

/// `word`: an f32, or its bits.
Tf32Parts splitToTf32(const KernelContext &kernel, Emitter &e, mlir::Value word);

/// c + one of the products of m16n8k8.
llvm::SmallVector<mlir::Value> multiplyTf32(Emitter &e, Tf32Product product, llvm::ArrayRef<Tf32Parts> a, llvm::ArrayRef<Tf32Parts> b,
                                            llvm::ArrayRef<mlir::Value> c);

} // namespace attn::codegen
