// sm_90a: kernels with warp roles use tensor maps, barriers in shared memory and the products of warpgroups; kernels without
// are lowered as for sm_80.
#pragma once

#include "codegen/arch/Sm80.h"

namespace attn::codegen {

class Sm90aLowering final : public ArchLowering {
public:
  void populate(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) const override;
  std::optional<std::string> whyNot(mlir::Operation *op) const override;

private:
  Sm80Lowering withoutRoles;
};

} // namespace attn::codegen
