// Operations of the dialect `tile` on what the parts of a kernel's warps hold. In a file of their own: few places need them.
#ifndef ATTN_IR_TILE_PARTOPS
#define ATTN_IR_TILE_PARTOPS

include "ir/tile/TileOpBase.td"

//===----------------------------------------------------------------------===//
// Fragments: summands of parts
//===----------------------------------------------------------------------===//

def Tile_AddPartsOp : Tile_Op<"add_parts"> {
  let summary = "Adds what two parts of the columns hold: afterwards both hold the sum";
  let description = [{
    result[r, c] = input[r, c] + input[r, N + c], where N is half of the input's columns: in layout `acc<W, parts = 2>` each
    part of the warps has one of the summands. The result is in layout `acc<W/2>`, and in a role of W warps both parts have
    all of it, the same to the bit.

    So a product can be cut along its depth. `tile.dot` with the rows of its right operand along the depth (`trans`) and with
    an accumulator of as many columns as these rows for each of two parts gives in the columns of part p the product over the
    steps p, p + 2, p + 4, … of the depth; the parts then read half of both operands each.

        %s = dot %q, trans %k, 0    part 0: steps 0 2 4 …   part 1: steps 1 3 5 …
        %x = add_parts %s

    Each part finishes half of the columns: it gets the other's summands for them through `$scratch`, adds, and leaves the
    sums where the summands were. The threads that run the role meet twice in the operation; a thread writes the scratch where
    it alone has read before, so that one operation may follow another without a barrier between.

    Constraints: (C1) the input is 2-D f32 in layout `acc<W, parts = 2>`, the result as said, with half of the columns. (C2)
    the scratch is plain, of f32, as many elements as the result, in two rows.
    ```mlir
    %x = tile.add_parts %s, %scratch : !tile.frag<64x64xf32, #tile.acc<8, parts = 2>>, !tile.buffer<2x1024xf32, #tile.smem<0>>
                                       -> !tile.frag<64x32xf32, #tile.acc<4>>
    ```
  }];
  let arguments = (ins Tile_Frag:$input, Tile_Buffer:$scratch);
  let results = (outs Tile_Frag:$result);
  let assemblyFormat = "$input `,` $scratch attr-dict `:` type($input) `,` type($scratch) `->` type($result)";
  let hasVerifier = 1;
}

#endif // ATTN_IR_TILE_PARTOPS
