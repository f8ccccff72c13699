// The dialect `tile`: attention as a program over blocks. See docs/rationale/tile.md for what was rejected.
#ifndef ATTN_IR_TILE_TILEDIALECT
#define ATTN_IR_TILE_TILEDIALECT

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/DialectBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::attn::tile";
  let summary = "In which blocks attention is computed";
  let description = [{
    A kernel is a `func.func` with the attribute `tile.kernel`: its arguments are tensors in memory and scalars, its
    body computes scalars that all work tiles share, and one `tile.foreach_work` a role. Values are *fragments*
    (spread over the registers of the role's threads) and *buffers* (shared memory); loads meet compute through
    *rings* of buffers. Loops are `scf.for` over i32, branches `scf.if`, scalars `arith` and `math`.

    Elementwise mathematics is a region over one element (`tile.map`) down to the last pass. No op names an
    instruction or a target.

    A kernel's arguments keep the attributes of the plan's (`attn.name`, `attn.in`, …), its function `attn.layout`;
    `tile.output` (unit) marks the tensors that it writes.

    Attributes of a kernel function: `tile.kernel` (unit), `tile.warps` (i32, set by AttnToTile from the schedule),
    `tile.stages` (i32, likewise), `tile.parts` (i32, likewise: into how many parts the columns of fragments are cut among
    the warps; absent where they are not), `tile.shared_bytes` (i32, set by AllocateShared), `tile.tf32` (unit: products of f32
    operands round them to tf32). The module carries
    `tile.target = #tile.target<"sm_80">`.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    void registerTypes();
  }];
}

#endif // ATTN_IR_TILE_TILEDIALECT
