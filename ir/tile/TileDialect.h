// The dialect `tile`: types, layouts, operations. What each means is said in the .td files.
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <optional>
#include <string>

// Generated code leaves parameters unused.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "ir/tile/TileDialect.h.inc"
#include "ir/tile/TileEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/tile/TileAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "ir/tile/TileTypes.h.inc"

#define GET_OP_CLASSES
#include "ir/tile/TileOps.h.inc"
#pragma GCC diagnostic pop

namespace attn::tile {

/// Names of the attributes on kernel functions and on the module.
inline constexpr llvm::StringLiteral kKernelAttr = "tile.kernel";
inline constexpr llvm::StringLiteral kWarpsAttr = "tile.warps";
inline constexpr llvm::StringLiteral kStagesAttr = "tile.stages";
inline constexpr llvm::StringLiteral kPartsAttr = "tile.parts";
inline constexpr llvm::StringLiteral kSharedBytesAttr = "tile.shared_bytes";
/// On a kernel's argument: it is written, not read.
inline constexpr llvm::StringLiteral kOutputAttr = "tile.output";
inline constexpr llvm::StringLiteral kTargetAttr = "tile.target";

/// The region's terminator.
YieldOp yieldOf(mlir::Region &region);

} // namespace attn::tile
