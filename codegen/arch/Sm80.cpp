// See Sm80.h.
#include "codegen/arch/Sm80.h"

#include "codegen/nvvm/Patterns.h"

namespace attn::codegen {

void Sm80Lowering::populate(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) const {
  populateBlockWorkPatterns(kernel, converter, patterns);
  populateBarrierPatterns(kernel, converter, patterns);
  populateCopyGroupPatterns(kernel, converter, patterns);
  populateMmaSyncPatterns(kernel, converter, patterns);
  populateDiagonalPatterns(kernel, converter, patterns);
}

std::optional<std::string> Sm80Lowering::whyNot(mlir::Operation *op) const {
  if (mlir::isa<tile::RoleOp, tile::TurnBeginOp, tile::TurnEndOp>(op))
    return "this target has no warp roles";
  if (mlir::isa<tile::DotAsyncOp, tile::WaitOp, tile::PinOp>(op))
    return "this target has no asynchronous matrix products";
  if (mlir::isa<tile::FenceOp>(op))
    return "this target has nothing for such a fence to order";
  return std::nullopt;
}

} // namespace attn::codegen
