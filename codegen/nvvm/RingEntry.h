// One entry of a ring whose slots have barriers: where it lies and when it is whose turn.
#pragma once

#include "codegen/nvvm/KernelContext.h"

namespace attn::codegen {

/// Entry n lives in slot n mod S; it is the slot's (n / S)-th use, whose parity its barriers' phases have.
class RingEntry {
public:
  /// `ring` as it stands in the `tile` IR, `offset` and `entry` as converted.
  RingEntry(KernelContext &kernel, Emitter &e, mlir::Value ring, mlir::Value offset, mlir::Value entry);

  /// Byte offset of the entry's buffer.
  mlir::Value buffer(Emitter &e) const;
  mlir::Value fullBarrier(Emitter &e) const { return barrier(e, place.full); }
  mlir::Value emptyBarrier(Emitter &e) const { return barrier(e, place.empty); }
  /// Of the phase that ends when the entry has landed; when the entry before it in the slot is free, the other one ends.
  mlir::Value parity(Emitter &e) const;

private:
  mlir::Value barrier(Emitter &e, std::int64_t first) const;

  KernelContext &kernel;
  tile::RingType type;
  RingBarriers place;
  mlir::Value offset, entry, slot;
};

} // namespace attn::codegen
