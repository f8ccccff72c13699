// Fragments turned over. In a file of their own: few places need them.
#ifndef ATTN_IR_TILE_TRANSPOSEOPS
#define ATTN_IR_TILE_TRANSPOSEOPS

include "ir/tile/TileOpBase.td"

//===----------------------------------------------------------------------===//
// Fragments: transposition
//===----------------------------------------------------------------------===//

def Tile_TransposeOp : Tile_Op<"transpose", [Pure]> {
  let summary = "A fragment's columns as rows";
  let description = [{
    Before AssignLayouts only, which reads the columns from a buffer.
    Constraints: (C1) 2-D; the result has the input's rows as columns and its element type.
    ```mlir
    %kt = tile.transpose %k : !tile.frag<64x128xf16> -> !tile.frag<128x64xf16>
    ```
  }];
  let arguments = (ins Tile_Frag:$input);
  let results = (outs Tile_Frag:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

#endif // ATTN_IR_TILE_TRANSPOSEOPS
