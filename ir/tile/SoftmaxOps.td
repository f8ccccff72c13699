// Softmax whose weights are taken above a constant. In a file of its own: few places need it.
#ifndef ATTN_IR_TILE_SOFTMAXOPS
#define ATTN_IR_TILE_SOFTMAXOPS

include "ir/tile/TileOpBase.td"

//===----------------------------------------------------------------------===//
// Fragments: softmax of bounded scores
//===----------------------------------------------------------------------===//

def Tile_BoundedSoftmaxStepOp : Tile_Op<"bounded_softmax_step", [Pure, AllTypesMatch<["scores", "probs"]>,
                                                                 AllTypesMatch<["row_sum", "new_row_sum"]>,
                                                                 AllTypesMatch<["scale", "offset"]>]> {
  let summary = "One step of softmax over a block of scores that are known to be bounded";
  let description = [{
    With x the scores in units of 1/c log2 and l0 the row_sum so far:
        p = 2^(x·c + offset);  l1 = l0 + rowsum p
    No row has a maximum, and nothing is ever scaled: what weights are taken above is the same for all rows. The caller
    knows that neither they nor their sums leave the range of their type. A hidden key, x = -inf, has p = 0.

    `emulate`: percent of the exponentials computed on the FMA units.

    Constraints: (C1) row_sum is 1-D with the scores' rows; all elements are f32, or all f64, and so are scale and offset.
    ```mlir
    %l1, %p = tile.bounded_softmax_step %x, %l0 scale %c offset %o : !S, !L, f32
    ```
  }];
  let arguments = (ins Tile_Frag:$scores, Tile_Frag:$row_sum, AnyTypeOf<[F32, F64]>:$scale, AnyTypeOf<[F32, F64]>:$offset,
                       OptionalAttr<I32Attr>:$emulate);
  let results = (outs Tile_Frag:$new_row_sum, Tile_Frag:$probs);
  let assemblyFormat = [{
    $scores `,` $row_sum `scale` $scale `offset` $offset attr-dict `:` type($scores) `,` type($row_sum) `,` type($scale)
  }];
  let hasVerifier = 1;
}

#endif // ATTN_IR_TILE_SOFTMAXOPS
