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
  Emitter emitter(Rewriter &rewriter, OpType op) const { return kernel.emitter(rewriter, op.getLoc()); }

  KernelContext &kernel;
};

/// foreach_work, size, alloc, ring.
void populateWorkPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// load, store, read, write.
void populateLoadStorePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// splat, map, rotate, scale, convert, build.
void populateElementwisePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// rotate; part of the elementwise patterns.
void populateRotatePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// reduce, finish.
void populateReducePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// softmax_step.
void populateSoftmaxPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// barrier, pin.
void populateBarrierPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// Scalars outside regions: param, arith, math.
void populateScalarPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);

/// acquire, fill, await, release as groups of cp.async.
void populateCopyGroupPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
/// dot by mma.sync.
void populateMmaSyncPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);

/// Byte offset of entry `entry` of a ring whose first slot is at `ring`.
mlir::Value slotOffset(Emitter &e, tile::RingType type, mlir::Value ring, mlir::Value entry);

} // namespace attn::codegen
