// Rows of fragments on their way to and from memory: which row a thread's slot holds, who speaks for it, where it lies.
#pragma once

#include "codegen/nvvm/GlobalRows.h"

namespace attn::codegen {

/// The row that slot `slot` of this thread holds.
inline mlir::Value rowOfSlot(KernelContext &kernel, Emitter &e, const Fragment &fragment, int slot) {
  ThreadForm form = fragment.rowOf(slot);
  return e.iadd(kernel.threadPart(form), e.i32(form.constant));
}

/// Whether the thread is the one that speaks for its rows, of all that hold their values.
inline mlir::Value isFirstOfRow(KernelContext &kernel, Emitter &e) {
  mlir::Value first = e.ieq(kernel.quadLane(), e.i32(0));
  return kernel.parts() == 1 ? first : e.land(first, e.ieq(kernel.part(), e.i32(0)));
}

/// The rows that an operation's operands name.
template <class Adaptor> GlobalRows globalRows(mlir::Value tensor, Adaptor adaptor, unsigned dim, int pack = 1) {
  return GlobalRows(TensorView::of(tensor), adaptor.getIndices(), dim,
                    adaptor.getLimit().empty() ? mlir::Value() : adaptor.getLimit().front(), pack);
}

} // namespace attn::codegen
