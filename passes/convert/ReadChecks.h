// In a kernel that is compiled with `--checked`: whether an element's read counts, and the trap where it counts and its
// index is out of range.
#pragma once

#include "passes/convert/ElementScope.h"

namespace attn {

/// The checks of one element region. A read counts where the element does, and where the branches, `and` and `or` around
/// it let its value through: conditions are selects, so the read itself is always there.
class ReadChecks {
public:
  ReadChecks(KernelScope &kernel, ElementScope &element) : kernel(kernel), element(element) {}

  /// Says when an element counts; before that, those of rows and keys that exist do.
  void setCounting(mlir::Value condition) { counting = condition; }

  /// Writes the check of a read, if its index may be out of range. `places` are its indices at this element.
  void check(ir::LoadOp load, mlir::ValueRange places);
  /// The same for the reads that a value which all elements share is made of.
  void checkShared(mlir::Value value);

private:
  /// A condition; `never` false and a null value is always.
  struct Condition {
    bool never = false;
    mlir::Value value;
  };

  Condition demandOf(mlir::Value value);
  Condition demandBy(mlir::OpOperand &use);
  Condition both(Condition a, Condition b);
  Condition either(Condition a, Condition b);
  mlir::Value negate(mlir::Value condition);

  KernelScope &kernel;
  ElementScope &element;
  mlir::Value counting;
  llvm::DenseMap<mlir::Value, Condition> demands;
  llvm::DenseSet<mlir::Operation *> checked, shared;
};

} // namespace attn
