// What code generation for one architecture decides: which patterns lower the operations that touch its own units (matrix
// products, copies into rings), and which `tile` operations it has no means for. All else is shared.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>

namespace mlir {
class Operation;
class RewritePatternSet;
class TypeConverter;
} // namespace mlir

namespace attn::codegen {

class KernelContext;

class ArchLowering {
public:
  virtual ~ArchLowering() = default;

  /// The lowering for a target, spelled as the assembler spells it; null when there is none.
  static const ArchLowering *find(llvm::StringRef target);

  /// Adds the architecture's own patterns.
  virtual void populate(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) const = 0;
  /// Why an operation cannot be lowered here; nothing if it can.
  virtual std::optional<std::string> whyNot(mlir::Operation *op) const = 0;
};

} // namespace attn::codegen
