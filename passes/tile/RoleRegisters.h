// How the registers of a multiprocessor are shared out between the roles of a kernel (SpecializeWarps).
#pragma once

#include "ir/tile/TileDialect.h"
#include "ir/tile/WorkOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace attn {

/// Registers a thread of each role. With 128 threads a warpgroup their sum fits the register file.
struct RoleRegisters {
  int32_t producer, consumer;
};

/// Of `kernel` as it is before its roles: the producer of 4, 8 or 12 consumer warps has few where hardware copies, more where
/// its threads compute entries, look up pages or search rows of tables.
RoleRegisters roleRegisters(mlir::func::FuncOp kernel, int32_t consumerWarps);

/// `registers`, or more of them for `producer` as it has been written, where its loop holds more numbers than a few.
RoleRegisters registersForHeldNumbers(RoleRegisters registers, tile::RoleOp producer, int32_t consumerWarps);

} // namespace attn
