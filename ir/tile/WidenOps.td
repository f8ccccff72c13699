// Operations of the dialect `tile` on rows of 8-bit floats. In a file of their own: few places need them.
#ifndef ATTN_IR_TILE_WIDENOPS
#define ATTN_IR_TILE_WIDENOPS

include "ir/tile/TileOpBase.td"

//===----------------------------------------------------------------------===//
// Shared memory and rings: 8-bit floats
//===----------------------------------------------------------------------===//

def Tile_WidenOp : Tile_Op<"widen"> {
  let summary = "Writes entry n: the numbers of a buffer of 8-bit floats as products take them";
  let description = [{
    What the products of tiles take from rows that lie in memory as 8-bit floats: the same numbers in a wider type, which has all
    of them; or, where ring and buffer have one element type, the first columns as rows, in each 16 of which number 8b + 2t + c stands
    at place 4t + 2b + c (t = 0 to 3, b and c 0 or 1). That is the order in which a left operand in registers has its columns.
    All threads that run the kernel or its role take part.

    Constraints: (C1) buffer and ring have one shape, of two dimensions. (C2) the buffer's element type is an 8-bit float,
    the ring's f16 or bf16. (C3) of one element type, the ring's rows are a multiple of 16 of the buffer's columns, and its columns,
    a multiple of 32, the buffer's rows.
    ```mlir
    tile.widen %kr[%i] from %bytes : !ring, !tile.buffer<64x128xf8E4M3FN, #tile.smem<128>>
    ```
  }];
  let arguments = (ins Tile_Ring:$ring, I32:$entry, Tile_Buffer:$source);
  let assemblyFormat = "$ring `[` $entry `]` `from` $source attr-dict `:` type($ring) `,` type($source)";
  let hasVerifier = 1;
}

#endif // ATTN_IR_TILE_WIDENOPS
