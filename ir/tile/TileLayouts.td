// Layouts: where an element of a fragment or buffer lies. Their arithmetic is in TileLayouts.h.
#ifndef ATTN_IR_TILE_TILELAYOUTS
#define ATTN_IR_TILE_TILELAYOUTS

include "ir/tile/TileDialect.td"

class Tile_Attr<string name, string attrMnemonic> : AttrDef<Tile_Dialect, name> {
  let mnemonic = attrMnemonic;
}

//===----------------------------------------------------------------------===//
// Fragments. Lane l of a warp: g = l/4, t = l%4. w is the warp's index in its role, W the number of warps.
//===----------------------------------------------------------------------===//

// With parts = P the columns are cut into P equal parts, each of which W/P of the warps hold: warp w has part w / (W/P), and
// w and W below are counted within the part. Row layouts then say the same of a row in each of its parts.
class Tile_FragmentLayout<string name, string attrMnemonic> : Tile_Attr<name, attrMnemonic> {
  let parameters = (ins "unsigned":$warps, DefaultValuedParameter<"unsigned", "1">:$parts);
  let builders = [AttrBuilder<(ins "unsigned":$warps), [{ return $_get($_ctxt, warps, 1); }]>];
  let assemblyFormat = "`<` $warps (`,` `parts` `=` $parts^)? `>`";
}

def Tile_AccAttr : Tile_FragmentLayout<"Acc", "acc"> {
  let summary = "Accumulators of mma.sync m16n8k16 and of wgmma; all elementwise work";
  let description = [{
    Register (i, j, h, c) of warp w holds row 16(w + W·i) + g + 8h, column 8j + 2t + c:

        row  g    : t=0: c0 c1 | t=1: c0 c1 | t=2: c0 c1 | t=3: c0 c1      (h = 0)
        row  g + 8: the same columns                                       (h = 1)

    A fragment of fewer than 16·W rows leaves the warps beyond its rows without data: they compute on undefined
    registers, and `read`, `write` and `store` skip them.
  }];
}

def Tile_LhsAttr : Tile_FragmentLayout<"Lhs", "lhs"> {
  let summary = "The A operand of a matrix product in registers";
  let description = [{
    k16 step kk, 32-bit register r (two 16-bit elements): row 16(w + W·i) + g + 8(r%2), columns
    16kk + 8(r/2) + 2t + {0, 1}. From `acc` it is packing only: r of step kk is (j = 2kk + r/2, h = r%2, c = 0, 1).

    32-bit elements: as `acc`, register for register. A product takes the columns of a k8 step in the order
    0 2 4 6 1 3 5 7, and the rows of its other operand in the same.
  }];
}

def Tile_RowAttr : Tile_FragmentLayout<"Row", "row"> {
  let summary = "One value a row, held by all four lanes of a quad";
  let description = [{Register (i, h) of warp w holds row 16(w + W·i) + g + 8h.}];
}

def Tile_RowPartialAttr : Tile_FragmentLayout<"RowPartial", "row_partial"> {
  let summary = "One value a row, as four summands in the lanes of a quad";
  let description = [{
    As `row`, but the row's value is what the lanes t, and the parts, hold together: their sum, unless `tile.combine` says
    otherwise.
  }];
}

def Tile_LaneRowAttr : Tile_FragmentLayout<"LaneRow", "lane_row"> {
  let summary = "A whole row a lane: loads from tensor memory";
  let description = [{Warp w lane l holds row 32w + l, all columns.}];
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

def Tile_SmemAttr : Tile_Attr<"Smem", "smem"> {
  let summary = "A buffer's placement in shared memory";
  let description = [{
    `swizzle` 128 or 64: the columns are cut into panels of that many bytes, panel after panel, each rows × swizzle
    bytes; within a row the 16-byte chunk c stands at c XOR row%8 (128) or c XOR (row/2)%4 (64). This is TMA's
    swizzle, free of conflicts for `ldmatrix`; such a buffer is aligned to 1024 bytes.

    `swizzle` 0: plain rows of `pitch` elements; pitch 0 means as many as there are columns.

    `quads`: one row of 32-bit numbers, one a diagonal of a tile, each in four places, so that what a thread needs for its 2 x 2
    elements in layout `acc` is one 16-byte word: word p + 1 holds elements p, p + 1, p - 8, p - 7.
  }];
  let parameters = (ins "unsigned":$swizzle, DefaultValuedParameter<"unsigned", "0">:$pitch,
                        DefaultValuedParameter<"bool", "false">:$quads);
  let builders = [AttrBuilder<(ins "unsigned":$swizzle, "unsigned":$pitch), [{ return $_get($_ctxt, swizzle, pitch, false); }]>];
  let assemblyFormat = "`<` $swizzle (`quads` `=` $quads^)? (`,` `pitch` `=` $pitch^)? `>`";
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Target
//===----------------------------------------------------------------------===//

def Tile_TargetAttr : Tile_Attr<"Target", "target"> {
  let summary = "The GPU a module is compiled for, spelled as the assembler spells it";
  let parameters = (ins StringRefParameter<>:$name);
  let assemblyFormat = "`<` $name `>`";
}

#endif // ATTN_IR_TILE_TILELAYOUTS
