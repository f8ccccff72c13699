// Operations of the dialect `tile` on rows of 8-bit floats. In a file of their own: few places need them.
#ifndef ATTN_IR_TILE_WIDENOPS
#define ATTN_IR_TILE_WIDENOPS

include "ir/tile/TileOpBase.td"

//===----------------------------------------------------------------------===//
// Shared memory and rings: 8-bit floats
//===----------------------------------------------------------------------===//

def Tile_WidenOp : Tile_Op<"widen"> {
  let summary = "Writes entry n: the numbers of a buffer of 8-bit floats in a wider type";
  let description = [{
    What the products of tiles take from rows that lie in memory as 8-bit floats, all of whose numbers the wider type has.
    All threads that run the kernel or its role take part.

    Constraints: (C1) buffer and ring have one shape, of two dimensions. (C2) the buffer's element type is an 8-bit float,
    the ring's f16 or bf16.
    ```mlir
    tile.widen %kr[%i] from %bytes : !ring, !tile.buffer<64x128xf8E4M3FN, #tile.smem<128>>
    ```
  }];
  let arguments = (ins Tile_Ring:$ring, I32:$entry, Tile_Buffer:$source);
  let assemblyFormat = "$ring `[` $entry `]` `from` $source attr-dict `:` type($ring) `,` type($source)";
  let hasVerifier = 1;
}

#endif // ATTN_IR_TILE_WIDENOPS
