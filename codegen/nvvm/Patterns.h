// The conversion patterns from `tile` to `llvm` + `nvvm`, a group a file; they need the kernel's context. What differs
// between architectures is chosen by ArchLowering.
#pragma once

#include "codegen/nvvm/KernelContext.h"

#include "mlir/Transforms/DialectConversion.h"

namespace attn::codegen {

/// A pattern for one `tile` op, one LLVM value a register (`OneToNOpAdaptor`).
template <class OpType> class TilePattern : public mlir::OpConversionPattern<OpType> {
public:
  using Adaptor = typename mlir::OpConversionPattern<OpType>::OneToNOpAdaptor;
  using Rewriter = mlir::ConversionPatternRewriter;

  TilePattern(const mlir::TypeConverter &converter, KernelContext &kernel)
      : mlir::OpConversionPattern<OpType>(converter, kernel.anchorContext()), kernel(kernel) {}

protected:
  /// For the threads that execute `op`.
  Emitter emitter(Rewriter &rewriter, OpType op) const {
    kernel.enter(op.getOperation());
    return kernel.emitter(rewriter, op.getLoc());
  }

  KernelContext &kernel;
};

/// size, alloc, ring.
void populateWorkPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// load, store, read, write.
void populateLoadStorePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// store, store_columns; part of the former.
void populateStorePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// splat, map, rotate, scale, convert, build.
void populateElementwisePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// rotate; part of the elementwise patterns.
void populateRotatePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// widen.
void populateWidenPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// reduce, finish.
void populateReducePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// suffix_sum.
void populateScanPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// list_marked.
void populateListPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// keep_finite.
void populateKeepFinitePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// softmax_step.
void populateSoftmaxPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// barrier, of the whole block.
void populateBarrierPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// Scalars outside regions: param, arith, math.
void populateScalarPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);

/// foreach_work: a work tile a block.
void populateBlockWorkPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// acquire, fill, await, release as groups of cp.async.
void populateCopyGroupPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// dot by mma.sync.
void populateMmaSyncPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// dot of f32 operands by mma.sync; part of the above.
void populateTf32Patterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// dot of f64 operands by mma.sync; part of the above.
void populateDoublePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);

/// diagonal_dot and diagonal_sum by mma.sync.
void populateDiagonalPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);

/// foreach_work in roles: a loop over the block's tiles.
void populatePersistentWorkPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// acquire, fill, await, release by barriers in shared memory.
void populateRingBarrierPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// await_stores.
void populateTensorStorePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// Starts the copies of a store by a tensor map.
void storeByTensorMap(KernelContext &kernel, Emitter &e, tile::StoreOp store, mlir::Value buffer, llvm::ArrayRef<mlir::ValueRange> indices);
/// dot, dot_async, wait by wgmma.mma_async.
void populateWgmmaPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// Why a dot or dot_async in a role cannot be done by warpgroups, or nothing; nothing for other operations.
std::optional<std::string> whyNoWarpgroupProduct(mlir::Operation *op);
/// turn_begin, turn_end, fence, pin; barrier, of a role.
void populateTurnPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);

/// Byte offset of entry `entry` of a ring whose first slot is at `ring`.
mlir::Value slotOffset(Emitter &e, tile::RingType type, mlir::Value ring, mlir::Value entry);

} // namespace attn::codegen
