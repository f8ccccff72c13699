// Operations of the dialect `tile` on what depends on the distance of key and query: a row of numbers a diagonal of the
// tile. In a file of their own: few places need them.
#ifndef ATTN_IR_TILE_DIAGONALOPS
#define ATTN_IR_TILE_DIAGONALOPS

include "ir/tile/TileOpBase.td"

//===----------------------------------------------------------------------===//
// Rows computed in shared memory
//===----------------------------------------------------------------------===//

def Tile_TabulateOp : Tile_Op<"tabulate", [NoMemoryEffect, SingleBlock]> {
  let summary = "A matrix computed an element at a time, as a fragment or a buffer";
  let description = [{
    What `tile.build` writes into an entry of a ring, as a value: the region's arguments are the element's row and column.
    Before PipelineLoads only, which makes it the entry of a ring; a buffer result (after AssignLayouts) is a place in
    shared memory of its own.

    Constraints: (C1) two dimensions, and two i32 arguments. (C2) the region yields the element type, or f32 for a smaller float.
    ```mlir
    %t = tile.tabulate { ^at(%r: i32, %c: i32): … tile.yield %v : f32 } : !tile.frag<192x64xf16>
    ```
  }];
  let results = (outs AnyTypeOf<[Tile_Frag, Tile_Buffer]>:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "attr-dict-with-keyword $body `:` type($result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Products with a row a diagonal
//===----------------------------------------------------------------------===//

def Tile_DiagonalDotOp : Tile_Op<"diagonal_dot", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Products of each row, or column, with the rows of the diagonals that it crosses";
  let description = [{
    The diagonals of an R x C tile are numbered from the lower left corner: element (r, c) lies on c - r + R - 1. With
    `diagonals` D of R + C rows (the last is on no diagonal)

        result[r, c] = Σ_k rows[r, k] · D[c - r + R - 1, k]              (`columns`: columns[c, k] instead of rows[r, k])

    plus what stands in `acc`, if that is given. Where `alike` holds, all rows of D are those of `row`, and D is not read: then
    it is one product a row, or column. Operands are fragments before AssignLayouts, then buffers.

    Constraints: (C1) the operand is R x K, with `columns` C x K; `diagonals` (R + C) x K; `row` 16 x K. (C2) all have one
    element type, the result is f32, or f64 as they are. (C3) R, C and K are multiples of 16. (C4) `acc` has the result's type. (C5) `row` and
    `alike` go together.
    ```mlir
    %x = tile.diagonal_dot %q, %rel : !tile.buffer<128x64xf16, #tile.smem<128>>, !tile.buffer<192x64xf16, #tile.smem<128>> -> !S
    %y = tile.diagonal_dot columns %k, %rel plus %x : !tile.buffer<64x64xf16, #tile.smem<128>>, !tile.buffer<192x64xf16, #tile.smem<128>>, !S -> !S
    %z = tile.diagonal_dot %q, %rel or %far if %clipped : !tile.buffer<128x64xf16, #tile.smem<128>>, !tile.buffer<192x64xf16, #tile.smem<128>> or !tile.buffer<16x64xf16, #tile.smem<128>> -> !S
    ```
  }];
  let arguments = (ins AnyTypeOf<[Tile_Frag, Tile_Buffer]>:$operand, AnyTypeOf<[Tile_Frag, Tile_Buffer]>:$diagonals,
                       Optional<Tile_Frag>:$acc, Optional<AnyTypeOf<[Tile_Frag, Tile_Buffer]>>:$row, Optional<I1>:$alike,
                       UnitAttr:$columns);
  let results = (outs Tile_Frag:$result);
  let assemblyFormat = [{
    (`columns` $columns^)? $operand `,` $diagonals (`or` $row^ `if` $alike)? (`plus` $acc^)? attr-dict
    `:` type($operand) `,` type($diagonals) (`or` type($row)^)? (`,` type($acc)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_DiagonalSumOp : Tile_Op<"diagonal_sum", [AllTypesMatch<["acc", "result"]>, AttrSizedOperandSegments,
                                                  DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Sums over the elements of each row, times the rows of their diagonals";
  let description = [{
    With the diagonals of the R x C tile `weights` numbered as in `tile.diagonal_dot`

        result[r, n] = acc[r, n] + Σ_c weights[r, c] · D[c - r + R - 1, n]

    Where `alike` holds, all rows of D are those of `row`, and D is not read: then it is the sum of a row's weights times that
    row. Operands are fragments before AssignLayouts; then `weights` is an `lhs` fragment, `diagonals` and `row` are buffers.

    Constraints: (C1) `diagonals` has R + C rows and at least acc's columns, `row` 16 rows of as many, acc R rows. (C2) weights,
    diagonals and row have one element type, acc is f32, or f64 as they are. (C3) R and C are multiples of 16, acc's columns of 8. (C4) `row` and
    `alike` go together.
    ```mlir
    %o1 = tile.diagonal_sum %p, %rel, %o0 : !P, !tile.buffer<192x64xf16, #tile.smem<128>> -> !O
    ```
  }];
  let arguments = (ins Tile_Frag:$weights, AnyTypeOf<[Tile_Frag, Tile_Buffer]>:$diagonals, Tile_Frag:$acc,
                       Optional<AnyTypeOf<[Tile_Frag, Tile_Buffer]>>:$row, Optional<I1>:$alike);
  let results = (outs Tile_Frag:$result);
  let assemblyFormat = [{
    $weights `,` $diagonals (`or` $row^ `if` $alike)? `,` $acc attr-dict
    `:` type($weights) `,` type($diagonals) (`or` type($row)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

#endif // ATTN_IR_TILE_DIAGONALOPS
