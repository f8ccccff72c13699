// Operations of the dialect `tile` on some of a row's columns. In a file of their own: few places need them.
#ifndef ATTN_IR_TILE_COLUMNOPS
#define ATTN_IR_TILE_COLUMNOPS

include "ir/tile/TileOpBase.td"

//===----------------------------------------------------------------------===//
// Memory: some columns of rows
//===----------------------------------------------------------------------===//

def Tile_ColumnsOp : Tile_Op<"columns", [Pure]> {
  let summary = "Some columns of a tensor's rows, as a tensor";
  let description = [{
    The tensor whose rows are the channels from `first` on of another's, as many as its own rows have; nothing is copied. Threads
    load and store it, no tensor map does.

    Constraints: (C1) the types differ in the last size alone, which is a number in both. (C2) `first` and the result's channels
    are multiples of 8, and lie within the row.
    ```mlir
    %v1 = tile.columns %v from 64 : !value -> !slice
    ```
  }];
  let arguments = (ins Tile_Tensor:$tensor, I32Attr:$first);
  let results = (outs Tile_Tensor:$result);
  let assemblyFormat = "$tensor `from` $first attr-dict `:` type($tensor) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_StoreColumnsOp : Tile_Op<"store_columns", [MemoryEffects<[MemWrite]>, AttrSizedOperandSegments]> {
  let summary = "Writes a fragment to some columns of a tensor's rows";
  let description = [{
    As `tile.store`, but of the fragment's columns `count` from `begin` on, to channels `first` … of its rows. For rows of
    more channels than the registers of a quad of lanes hold, which are made piece by piece.

    Constraints: (C1) the fragment is 2-D, with rank - 1 indices, of the tensor's element type. (C2) `dim` names one of
    them. (C3) `first`, `begin` and `count` are multiples of 8; the columns lie within the fragment, the channels within
    the row, whose length is known.
    ```mlir
    tile.store_columns %x columns 0 count 64, %rotated[%b, %k0, %g] along 1 from 512 : !tile.frag<64x64xf16>, !kv
    ```
  }];
  let arguments = (ins Tile_Frag:$value, I32Attr:$begin, I32Attr:$count, Tile_Tensor:$tensor, Variadic<I32>:$indices,
                       I32Attr:$dim, I32Attr:$first, Optional<I32>:$limit);
  let assemblyFormat = [{
    $value `columns` $begin `count` $count `,` $tensor `[` $indices `]` `along` $dim `from` $first (`limit` $limit^)? attr-dict `:` type($value) `,` type($tensor)
  }];
  let hasVerifier = 1;
}

#endif // ATTN_IR_TILE_COLUMNOPS
