// sm_80 and later parts without more: mma.sync, ldmatrix, cp.async; one role, a block a work tile.
#pragma once

#include "codegen/arch/ArchLowering.h"

namespace attn::codegen {

class Sm80Lowering final : public ArchLowering {
public:
  void populate(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) const override;
  std::optional<std::string> whyNot(mlir::Operation *op) const override;
};

} // namespace attn::codegen
