// What the files of operations of the dialect `tile` share. Operations of one idea stand in a file of their own, so that
// a change to them recompiles what uses them and no more.
#ifndef ATTN_IR_TILE_TILEOPBASE
#define ATTN_IR_TILE_TILEOPBASE

include "ir/tile/TileTypes.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Tile_Op<string mnemonic, list<Trait> traits = []> : Op<Tile_Dialect, mnemonic, traits>;

#endif // ATTN_IR_TILE_TILEOPBASE
