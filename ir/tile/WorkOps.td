// What work tiles do besides their work. In a file of its own: few places need it.
#ifndef ATTN_IR_TILE_WORKOPS
#define ATTN_IR_TILE_WORKOPS

include "ir/tile/TileOpBase.td"

//===----------------------------------------------------------------------===//
// Work tiles that are not there
//===----------------------------------------------------------------------===//

def Tile_SkipWorkOp : Tile_Op<"skip_work"> {
  let summary = "Ends the work tile here where the condition holds";
  let description = [{
    What stands behind it in the tile is not done; values carried from tile to tile stay as they came in. The condition is
    the same for all threads and in all roles. For grids that are larger than the work: requests of a ragged batch have as
    many tiles as the longest of them.

    Constraints: (C1) it stands in the body of a `tile.foreach_work` itself, once.
    ```mlir
    tile.skip_work if %past_the_end
    ```
  }];
  let arguments = (ins I1:$condition);
  let assemblyFormat = "`if` $condition attr-dict";
  let hasVerifier = 1;
}

#endif // ATTN_IR_TILE_WORKOPS
