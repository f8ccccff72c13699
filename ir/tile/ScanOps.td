// Operations of the dialect `tile` that run along the keys of a row. In a file of their own: few places need them.
#ifndef ATTN_IR_TILE_SCANOPS
#define ATTN_IR_TILE_SCANOPS

include "ir/tile/TileOpBase.td"

//===----------------------------------------------------------------------===//
// Fragments: running sums
//===----------------------------------------------------------------------===//

def Tile_SuffixSumOp : Tile_Op<"suffix_sum", [Pure, AllTypesMatch<["input", "sums"]>, AllTypesMatch<["carry", "total"]>]> {
  let summary = "Sums over an element's column and those behind it, from block to block";
  let description = [{
        sums[r, c] = carry[r] + Σ_{d ≥ c} input[r, d];  total[r] = carry[r] + Σ_d input[r, d]

    `carry` is what the columns of the blocks behind this one have summed to, `total` the carry of the block before it:
    so blocks go from the last to the first. The eight columns of a tile of four lanes are summed as a tree, tiles one
    after the other from the last, and a block's own sum is added to the carry as a whole. All four lanes of a row hold
    the same total, to the bit.

    Constraints: (C1) `carry` is 1-D with the input's rows, all elements are f32.
    ```mlir
    %sums, %total = tile.suffix_sum %gates, %carry : !S, !R
    ```
  }];
  let arguments = (ins Tile_Frag:$input, Tile_Frag:$carry);
  let results = (outs Tile_Frag:$sums, Tile_Frag:$total);
  let assemblyFormat = "$input `,` $carry attr-dict `:` type($input) `,` type($carry)";
  let hasVerifier = 1;
}

#endif // ATTN_IR_TILE_SCANOPS
