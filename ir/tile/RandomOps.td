// Random numbers of elements. In a file of their own: few places need them.
#ifndef ATTN_IR_TILE_RANDOMOPS
#define ATTN_IR_TILE_RANDOMOPS

include "ir/tile/TileOpBase.td"

//===----------------------------------------------------------------------===//
// Fragments: random numbers
//===----------------------------------------------------------------------===//

def Tile_RandomOp : Tile_Op<"random", [Pure]> {
  let summary = "A uniform number in [0, 1) for the element's query, key and head";
  let description = [{
    Philox4x32-10 with key (`seed`, `offset`), counter (`query`, `key` / 4, `head`, 0), word `key` % 4: its upper 24 bits
    over 2^24. It depends on the numbers alone, not on the tile in which they are met. `key` is the number of the key in
    column 0, which the caller promises to be a multiple of 4, plus the column: so the four words of one counter are those
    of four columns in a row, and are computed once for them.

    Constraints: (C1) inside the region of a `tile.map` with a 2-D result of a multiple of 16 columns.
    ```mlir
    %u = tile.random %seed, %offset at %i, %head, %j
    ```
  }];
  let arguments = (ins I32:$seed, I32:$offset, I32:$query, I32:$head, I32:$key);
  let results = (outs F32:$result);
  let assemblyFormat = "$seed `,` $offset `at` $query `,` $head `,` $key attr-dict";
  let hasVerifier = 1;
}

#endif // ATTN_IR_TILE_RANDOMOPS
