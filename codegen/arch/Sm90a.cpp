// See Sm90a.h.
#include "codegen/arch/Sm90a.h"

#include "codegen/nvvm/Patterns.h"

namespace attn::codegen {

void Sm90aLowering::populate(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) const {
  if (!kernel.hasRoles())
    return withoutRoles.populate(kernel, converter, patterns);
  populatePersistentWorkPatterns(kernel, converter, patterns);
  populateRingBarrierPatterns(kernel, converter, patterns);
  populateTensorStorePatterns(kernel, converter, patterns);
  populateWgmmaPatterns(kernel, converter, patterns);
  populateDiagonalPatterns(kernel, converter, patterns);
  populateTurnPatterns(kernel, converter, patterns);
}

std::optional<std::string> Sm90aLowering::whyNot(mlir::Operation *op) const {
  if (mlir::isa<tile::RoleOp>(op))
    return std::nullopt;
  if (!op->getParentOfType<tile::RoleOp>())
    return withoutRoles.whyNot(op);
  if (auto fill = mlir::dyn_cast<tile::FillOp>(op); fill && isTensorMapFill(fill))
    return whyNoTensorMap(fill);
  if (auto store = mlir::dyn_cast<tile::StoreOp>(op); store && isTensorMapStore(store))
    return whyNoTensorMap(store);
  return whyNoWarpgroupProduct(op);
}

} // namespace attn::codegen
