// Operations of the dialect `tile` that make lists of places. In a file of their own: one kernel needs them.
#ifndef ATTN_IR_TILE_LISTOPS
#define ATTN_IR_TILE_LISTOPS

include "ir/tile/TileOpBase.td"

//===----------------------------------------------------------------------===//
// Lists
//===----------------------------------------------------------------------===//

def Tile_ListMarkedOp : Tile_Op<"list_marked"> {
  let summary = "Appends the marked ones of 32 places to a list";
  let description = [{
    Of the 32 places `end` - 1, `end` - 2, … `end` - 32 of the row of marks at `$place`, those below 0 left out, each whose
    mark is not 0 becomes an entry of the row of the list at `$place`, from entry `$at` on, in this order, the last first:
    2 · place + (mark is 2). The result is where the next entry goes.

    A lane of the warp looks at each place; a vote tells it how many entries are ahead of its own.

    Constraints: (C1) marks are f32, the list is i32; both have a dimension more than `$place` has indices. (C2) the kernel has
    one warp.
    ```mlir
    %next = tile.list_marked %marks[%b, %h, %t] before %end to %list at %count : !tile.tensor<[batch, 8, q_tiles, blocks], f32>, !tile.tensor<[batch, 8, q_tiles, blocks], i32>
    ```
  }];
  let arguments = (ins Tile_Tensor:$marks, Variadic<I32>:$place, I32:$end, Tile_Tensor:$list, I32:$at);
  let results = (outs I32:$next);
  let assemblyFormat = "$marks `[` $place `]` `before` $end `to` $list `at` $at attr-dict `:` type($marks) `,` type($list)";
  let hasVerifier = 1;
}

#endif // ATTN_IR_TILE_LISTOPS
