// Operations of the dialect `tile`, grouped as in the passes: work, memory, rings, fragments, softmax, dots, order.
#ifndef ATTN_IR_TILE_TILEOPS
#define ATTN_IR_TILE_TILEOPS

include "ir/tile/TileOpBase.td"

/// Names in printed IR.
def Tile_NamesResult : DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>;
def Tile_NamesBlock : DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames", "getAsmBlockNames"]>;

def Tile_ReduceKind : I32EnumAttr<"ReduceKind", "how columns are combined", [
    I32EnumAttrCase<"max", 0>, I32EnumAttrCase<"add", 1>, I32EnumAttrCase<"min", 2>]> {
  let cppNamespace = "::attn::tile";
}
def Tile_FenceKind : I32EnumAttr<"FenceKind", "which accesses a fence orders", [
    I32EnumAttrCase<"async_proxy", 0>, I32EnumAttrCase<"tensor_core", 1>]> {
  let cppNamespace = "::attn::tile";
}

//===----------------------------------------------------------------------===//
// Work and roles
//===----------------------------------------------------------------------===//

def Tile_ForeachWorkOp : Tile_Op<"foreach_work", [SingleBlockImplicitTerminator<"YieldOp">, RecursiveMemoryEffects,
                                                  AttrSizedOperandSegments, Tile_NamesBlock]> {
  let summary = "Runs its body for each of the role's work tiles, in schedule order";
  let description = [{
    The work tiles are the points of the box `$extents`, usually (batch, q_heads, row tiles). The body's arguments are
    the point's coordinates, then the values carried from tile to tile of the same CTA. Without roles and without
    carried values a CTA does one tile. `descending`: the last extent is handed out from its last point to its first
    (heavy tiles of a causal mask first).

    Constraints: (C1) the body has an i32 argument an extent, then one a carried value of its type. (C2) the body
    yields values of the carried types.
    ```mlir
    tile.foreach_work %batch, %c8, %tiles { ^work(%b: i32, %h: i32, %t: i32): … }
    ```
  }];
  let arguments = (ins Variadic<I32>:$extents, Variadic<AnyType>:$inits, UnitAttr:$descending);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $extents (`descending` $descending^)? (`carry` `(` $inits^ `:` type($inits) `)` `->` type($results))?
    attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

def Tile_RoleOp : Tile_Op<"role", [SingleBlockImplicitTerminator<"YieldOp">, RecursiveMemoryEffects]> {
  let summary = "A part of the kernel executed by some warps only, concurrently with its siblings";
  let description = [{
    Warps `first_warp` to `end_warp` (excluded) execute the body, with `registers` registers a thread if given.

    Constraints: (C1) first_warp < end_warp, both multiples of 4 when `registers` is given.
    ```mlir
    tile.role producer warps [8 to 12] registers 24 { … }
    ```
  }];
  let arguments = (ins StrAttr:$name, I32Attr:$first_warp, I32Attr:$end_warp, OptionalAttr<I32Attr>:$registers);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    custom<Keyword>($name) `warps` ` ` `[` $first_warp `to` $end_warp `]` (`registers` $registers^)?
    attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

def Tile_YieldOp : Tile_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "Ends a region and gives its values";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
  let builders = [OpBuilder<(ins), [{ /* yields nothing */ }]>];
}

//===----------------------------------------------------------------------===//
// Global memory
//===----------------------------------------------------------------------===//

def Tile_SizeOp : Tile_Op<"size", [Pure, Tile_NamesResult]> {
  let summary = "The size of a tensor's dimension";
  let description = [{
    Constraints: (C1) `dim` is less than the rank.
    ```mlir
    %n = tile.size %key, 1 : !tile.tensor<[batch, kv_len, 2, 64], f16>
    ```
  }];
  let arguments = (ins Tile_Tensor:$tensor, I32Attr:$dim);
  let results = (outs I32:$result);
  let assemblyFormat = "$tensor `,` $dim attr-dict `:` type($tensor)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tile_ParamOp : Tile_Op<"param", [NoMemoryEffect, AttrSizedOperandSegments]> {
  let summary = "One element of a tensor";
  let description = [{
    Outside regions a uniform scalar; inside element regions a load an element, a row or a column, as its indices
    depend on. With a predicate that is false nothing is read and the result is 0. The caller guarantees that the
    indices are in range where the predicate holds.

    Stored floats become f32 or f64, integers i32, `i8` read as `i1` is `!= 0`, element `i1` is the bit.
    Not speculatable: hoisting it needs a reason why its indices stay in range.

    Constraints: (C1) an index a dimension. (C2) the result is f32 or f64 for a float element; i32 or i1 for `i8`; i32
    for wider integers; i1 for `i1`.
    ```mlir
    %s = tile.param %bias[%bucket, %h] if %visible : !tile.tensor<[32, 8], f32> -> f32
    ```
  }];
  let arguments = (ins Tile_Tensor:$tensor, Variadic<I32>:$indices, Optional<I1>:$predicate);
  let results = (outs AnyTypeOf<[F32, F64, I32, I1]>:$result);
  let assemblyFormat = [{
    $tensor `[` $indices `]` (`if` $predicate^)? attr-dict `:` type($tensor) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_LoadOp : Tile_Op<"load", [NoMemoryEffect, AttrSizedOperandSegments]> {
  let summary = "Rows of a tensor, as a fragment or a buffer";
  let description = [{
    Row r of the result is the row of `$tensor` at `$indices` with r added to the index of dimension `dim`; a 2-D
    result takes the last dimension whole from column 0, a 1-D result has an element a row. Rows at or beyond the
    size of `dim` (or `limit`, if less), and columns beyond the tensor's, are 0. `pack = G`: row r is
    (index of dim + r/G, head index + r%G). With a region `rows` row r of the result is instead the row whose index of
    `dim` is what the region yields for r; where that is below 0 or not below the size, it is 0.

    With `pages`, the page table of a tensor [pages, n, …], the first two indices are those of a request in the table and
    of one of its rows: row i of request b is row i mod n of page pages[b, i / n]. `limit` says how many rows it has.

    Before PipelineLoads only; a buffer result (after AssignLayouts) is a place in shared memory of its own.

    Constraints: (C1) a 2-D result has rank - 1 indices, a 1-D result rank. (C2) `dim` names one of them. (C3) the
    element types agree, or the tensor's is an 8-bit float and the result's, in two dimensions, f16 or bf16: every number
    of the former is one of the latter. (C6) region `rows` takes an i32 and yields one, beside a 2-D result, without
    `limit` and `pack`. (C7) `pages` is an i32 tensor of two dimensions, beside `limit`, dim 1, a 2-D result and a tensor
    whose size along dim 1 is a power of two.
    ```mlir
    %k = tile.load %key[%b, %k0, %g] along 1 : !kv -> !tile.frag<128x64xf16>
    %r = tile.load %rel[%h, %c0] along 1 : !rel -> !tile.frag<192x64xf16> rows { ^row(%x: i32): … tile.yield %i : i32 }
    ```
  }];
  let arguments = (ins Tile_Tensor:$tensor, Variadic<I32>:$indices, I32Attr:$dim, Optional<I32>:$limit,
                       OptionalAttr<I32Attr>:$pack, Optional<Tile_Tensor>:$pages);
  let results = (outs AnyTypeOf<[Tile_Frag, Tile_Buffer]>:$result);
  let regions = (region AnyRegion:$rows);
  let assemblyFormat = [{
    $tensor `[` $indices `]` `along` $dim (`limit` $limit^)? (`pages` $pages^ `:` type($pages))?
    attr-dict `:` type($tensor) `->` type($result) (`rows` $rows^)?
  }];
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$tensor, "::mlir::ValueRange":$indices,
                                 "::mlir::IntegerAttr":$dim, "::mlir::Value":$limit, "::mlir::IntegerAttr":$pack), [{
    build($_builder, $_state, result, tensor, indices, dim, limit, pack, ::mlir::Value());
  }]>];
  let hasVerifier = 1;
}

def Tile_StoreOp : Tile_Op<"store", [MemoryEffects<[MemWrite]>, AttrSizedOperandSegments]> {
  let summary = "Writes rows of a tensor; rows and columns beyond it are not written";
  let description = [{
    The mirror of `tile.load`, from a fragment or a buffer; the same constraints. `via` is absent or "tma": then each
    warp has the tensor memory accelerator copy the rows of the buffer that are its own in layout `acc`, which only
    starts here (`tile.await_stores`).

    Constraints: (C5) `via` = "tma" takes a 2-D buffer and no `limit`.
    ```mlir
    tile.store %oh, %out[%b, %q0, %h] along 1 : !H, !q
    tile.store %staging, %out[%b, %q0, %h] along 1 {via = "tma"} : !B, !q
    ```
  }];
  let arguments = (ins AnyTypeOf<[Tile_Frag, Tile_Buffer]>:$value, Tile_Tensor:$tensor, Variadic<I32>:$indices,
                       I32Attr:$dim, Optional<I32>:$limit, OptionalAttr<I32Attr>:$pack, OptionalAttr<StrAttr>:$via);
  let assemblyFormat = [{
    $value `,` $tensor `[` $indices `]` `along` $dim (`limit` $limit^)? attr-dict `:` type($value) `,` type($tensor)
  }];
  let hasVerifier = 1;
}

def Tile_AwaitStoresOp : Tile_Op<"await_stores"> {
  let summary = "Waits until the warp's stores by tensor maps have read the buffer";
  let description = [{
    Then it may be written again. Stores of all buffers count. What they write to global memory is there when the kernel ends.
    ```mlir
    tile.await_stores %staging : !B
    ```
  }];
  let arguments = (ins Tile_Buffer:$buffer);
  let assemblyFormat = "$buffer attr-dict `:` type($buffer)";
}

//===----------------------------------------------------------------------===//
// Shared memory and rings
//===----------------------------------------------------------------------===//

def Tile_AllocOp : Tile_Op<"alloc", [MemoryEffects<[MemAlloc]>]> {
  let summary = "A buffer in shared memory";
  let description = [{`offset`, in bytes, is set by AllocateShared.}];
  let arguments = (ins OptionalAttr<I32Attr>:$offset);
  let results = (outs Tile_Buffer:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Tile_RingOp : Tile_Op<"ring", [MemoryEffects<[MemAlloc]>]> {
  let summary = "A ring of buffers in shared memory";
  let description = [{`offset`, in bytes, is set by AllocateShared; slot s lies at offset + s · bytes of a buffer.}];
  let arguments = (ins OptionalAttr<I32Attr>:$offset);
  let results = (outs Tile_Ring:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Tile_AcquireOp : Tile_Op<"acquire"> {
  let summary = "Waits until the slot of entry n is free";
  let arguments = (ins Tile_Ring:$ring, I32:$entry);
  let assemblyFormat = "$ring `[` $entry `]` attr-dict `:` type($ring)";
}

def Tile_FillOp : Tile_Op<"fill", [AttrSizedOperandSegments]> {
  let summary = "Starts the copy of rows of a tensor into entry n";
  let description = [{
    What is copied is said by `tile.load`: rows beyond `dim` (or `limit`) and columns beyond the tensor are 0. With a
    predicate that is false nothing is copied, but the entry counts (an empty group). `via` is "tma", "cp_async" or
    "plain" (through registers). By "tma" with `pages` the rows behind `limit` are 0 from the next page on, and before it
    what lies there.

    Constraints: those of `tile.load`; (C4) `via` is one of the three, and "plain" where element types differ.
    ```mlir
    tile.fill %kr[%i1] from %key[%b, %kn, %g] along 1 if %more {via = "cp_async"} : !ring, !kv
    ```
  }];
  let arguments = (ins Tile_Ring:$ring, I32:$entry, Tile_Tensor:$tensor, Variadic<I32>:$indices, I32Attr:$dim,
                       Optional<I32>:$limit, Optional<I1>:$predicate, OptionalAttr<StrAttr>:$via,
                       OptionalAttr<I32Attr>:$pack, UnitAttr:$multicast, Optional<Tile_Tensor>:$pages);
  let regions = (region AnyRegion:$rows);
  let assemblyFormat = [{
    $ring `[` $entry `]` `from` $tensor `[` $indices `]` `along` $dim (`limit` $limit^)? (`if` $predicate^)?
    (`pages` $pages^ `:` type($pages))? attr-dict `:` type($ring) `,` type($tensor) (`rows` $rows^)?
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$ring, "::mlir::Value":$entry, "::mlir::Value":$tensor,
                                 "::mlir::ValueRange":$indices, "::mlir::IntegerAttr":$dim, "::mlir::Value":$limit,
                                 "::mlir::Value":$predicate, "::mlir::StringAttr":$via, "::mlir::IntegerAttr":$pack,
                                 "::mlir::UnitAttr":$multicast), [{
    build($_builder, $_state, ring, entry, tensor, indices, dim, limit, predicate, via, pack, multicast, ::mlir::Value());
  }]>];
  let hasVerifier = 1;
}

def Tile_BuildOp : Tile_Op<"build", [SingleBlock]> {
  let summary = "Computes entry n, an element at a time";
  let description = [{
    The region's arguments are the element's position (1-D: one i32; 2-D: row and column); it yields the element.
    Constraints: (C1) an i32 argument a dimension. (C2) it yields the ring's element type, or f32 for a smaller float.
    ```mlir
    tile.build %strip[%i] : !ring { ^at(%c: i32): … tile.yield %v : f32 }
    ```
  }];
  let arguments = (ins Tile_Ring:$ring, I32:$entry);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$ring `[` $entry `]` attr-dict `:` type($ring) $body";
  let hasVerifier = 1;
}

def Tile_AwaitOp : Tile_Op<"await"> {
  let summary = "Waits until entry n has landed, and gives its buffer";
  let description = [{
    `pending`: on targets with copy groups, how many younger groups may still be in flight (absent before
    InsertBarriers). `barrier`: followed by a barrier of the role's threads, after which all of them see the entry.
    ```mlir
    %kb = tile.await %kr[%i] {pending = 0, barrier} : !ring -> !B
    ```
  }];
  let arguments = (ins Tile_Ring:$ring, I32:$entry, OptionalAttr<I32Attr>:$pending, UnitAttr:$barrier);
  let results = (outs Tile_Buffer:$result);
  let assemblyFormat = "$ring `[` $entry `]` attr-dict `:` type($ring) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ReleaseOp : Tile_Op<"release"> {
  let summary = "These warps will not read entry n again";
  let arguments = (ins Tile_Ring:$ring, I32:$entry);
  let assemblyFormat = "$ring `[` $entry `]` attr-dict `:` type($ring)";
}

def Tile_ReadOp : Tile_Op<"read", [MemoryEffects<[MemRead]>]> {
  let summary = "Buffer to fragment";
  let description = [{Constraints: (C1) shapes (transposed with `trans`) and element types agree.}];
  let arguments = (ins Tile_Buffer:$buffer, UnitAttr:$trans);
  let results = (outs Tile_Frag:$result);
  let assemblyFormat = "(`trans` $trans^)? $buffer attr-dict `:` type($buffer) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_WriteOp : Tile_Op<"write", [MemoryEffects<[MemWrite]>]> {
  let summary = "Fragment to buffer";
  let description = [{
    Constraints: (C1) shapes (transposed with `trans`) and element types agree; without `trans` the buffer may have more
    columns, which stay as they are.
  }];
  let arguments = (ins Tile_Frag:$value, Tile_Buffer:$buffer, UnitAttr:$trans);
  let assemblyFormat = "(`trans` $trans^)? $value `,` $buffer attr-dict `:` type($value) `,` type($buffer)";
  let hasVerifier = 1;
}

def Tile_KeepFiniteOp : Tile_Op<"keep_finite", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Sets elements that are not finite to 0, and says whether there were any";
  let description = [{
    For the right-hand side of a product whose left-hand side is 0 where an element must not count: 0 · NaN is NaN.
    With `rows`, whole rows from that one on are set to 0 first, unread. No other element is looked at where `predicate`
    is false. `found` is the same for all threads that run the kernel or its role; they meet in the operation, and all
    see its result behind it, tensor cores included.

    Before AssignLayouts a fragment with a result; afterwards a buffer, changed in place.

    Constraints: (C1) floats of 16 or 32 bits. (C2) a fragment has a result of its type, a buffer none.
    ```mlir
    %found = tile.keep_finite %v if %partial : !tile.buffer<64x128xf16, #tile.smem<128>>
    ```
  }];
  let arguments = (ins AnyTypeOf<[Tile_Frag, Tile_Buffer]>:$input, I1:$predicate, Optional<I32>:$rows);
  let results = (outs Optional<Tile_Frag>:$result, I1:$found);
  let assemblyFormat = "$input (`rows` $rows^)? `if` $predicate attr-dict `:` type($input) (`->` type($result)^)?";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Fragments: elementwise
//===----------------------------------------------------------------------===//

def Tile_SplatOp : Tile_Op<"splat", [Pure]> {
  let summary = "A fragment of one constant";
  let description = [{
    The accumulator `splat 0.0` of a dot means "do not accumulate". In layout `row_partial` every summand has the
    value, so only 0 is used there.
    ```mlir
    %ninf = tile.splat 0xFF800000 : !tile.frag<128xf32>
    ```
  }];
  let arguments = (ins F32Attr:$value);
  let results = (outs Tile_Frag:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
}

def Tile_MapOp : Tile_Op<"map", [RecursiveMemoryEffects, RecursivelySpeculatable, SingleBlock, Tile_NamesBlock]> {
  let summary = "A function of one element, applied to all";
  let description = [{
    The region's arguments are the element of a 2-D input, or the row's entry of a 1-D one, in the inputs' order; it
    may use `tile.row`, `tile.col`, `tile.at`, `tile.param` and scalars from outside. A 1-D result has an element a
    row (then `tile.col` is not allowed). It yields the result's element type. 16-bit elements are given as they are:
    widen them by `arith.extf`.

    Constraints: (C1) an argument an input, of its element type. (C2) inputs have the result's rows, and if 2-D its
    columns; a 1-D result has only 1-D inputs. (C3) it yields one value of the result's element type.
    ```mlir
    %y = tile.map %s : (!S) -> !S { ^element(%z: f32): … tile.yield %z1 : f32 }
    ```
  }];
  let arguments = (ins Variadic<Tile_Frag>:$inputs);
  let results = (outs Tile_Frag:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$inputs attr-dict `:` functional-type($inputs, $result) $body";
  let hasVerifier = 1;
}

def Tile_RotateOp : Tile_Op<"rotate", [RecursiveMemoryEffects, RecursivelySpeculatable, SingleBlock,
                                        AllTypesMatch<["input", "result"]>]> {
  let summary = "Turns pairs of columns by an angle";
  let description = [{
    Pair p of the `width` columns from `start` on is columns (start + p, start + p + width/2), or with `interleaved`
    (start + 2p, start + 2p + 1). The region gives its angle, in radians, for (row, p):
        x' = x·cos - y·sin,  y' = x·sin + y·cos
    The other columns stay. Thread-local in layouts `acc` and `lhs` when interleaved or 16 divides `width`, else
    partners are exchanged between the lanes of a quad.

    Constraints: (C1) `width` is even, positive, and start + width is within the columns; `start` is even. (C2)
    arguments (i32 row, i32 pair), yields the element type. (C3) 4 divides `width` unless interleaved. (C4) elements of f32 or f64.
    ```mlir
    %r = tile.rotate %x start 0 width 64 : !tile.frag<128x128xf32> { ^pair(%row: i32, %p: i32): … tile.yield %a : f32 }
    ```
  }];
  let arguments = (ins Tile_Frag:$input, I32Attr:$start, I32Attr:$width, UnitAttr:$interleaved);
  let results = (outs Tile_Frag:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $input (`interleaved` $interleaved^)? `start` $start `width` $width attr-dict `:` type($input) $body
  }];
  let hasVerifier = 1;
}

def Tile_RowOp : Tile_Op<"row", [Pure, Tile_NamesResult]> {
  let summary = "The element's row in the tile";
  let description = [{Constraints: (C1) inside the region of `tile.map`.}];
  let results = (outs I32:$result);
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

def Tile_ColOp : Tile_Op<"col", [Pure, Tile_NamesResult]> {
  let summary = "The element's column in the tile";
  let description = [{Constraints: (C1) inside the region of a `tile.map` with a 2-D result.}];
  let results = (outs I32:$result);
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

def Tile_AtOp : Tile_Op<"at", [MemoryEffects<[MemRead]>]> {
  let summary = "An element of a buffer at a computed place";
  let description = [{
    Floats smaller than 32 bits are widened. Constraints: (C1) an index a dimension. (C2) f32 for a float element (f64 for an f64 one), i32
    for an integer one.
    ```mlir
    %s = tile.at %strip[%c] : !tile.buffer<255xf32, #tile.smem<0>> -> f32
    ```
  }];
  let arguments = (ins Tile_Buffer:$buffer, Variadic<I32>:$indices);
  let results = (outs AnyTypeOf<[F32, F64, I32]>:$result);
  let assemblyFormat = "$buffer `[` $indices `]` attr-dict `:` type($buffer) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_LookupOp : Tile_Op<"lookup", [Pure]> {
  let summary = "An element of a constant table at a computed place";
  let description = [{
    For per-channel constants that have no closed form. The caller guarantees the index.
    Constraints: (C1) the table is 1-D with elements of the result's type.
    ```mlir
    %f = tile.lookup dense<[1.0, 0.5]> : vector<2xf32>[%p] -> f32
    ```
  }];
  let arguments = (ins ElementsAttr:$table, I32:$index);
  let results = (outs AnyTypeOf<[F32, F64, I32]>:$result);
  let assemblyFormat = "$table `[` $index `]` attr-dict `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ConvertOp : Tile_Op<"convert", [Pure]> {
  let summary = "Another element type and/or layout";
  let description = [{
    Rounds to nearest even; what is beyond the numbers of an 8-bit float becomes the largest of them. `row_partial` to `row` adds the four summands; `row` to `row_partial` leaves the value in
    the lane t = 0 and 0 in the others. `acc` to `lhs` packs registers.

    Constraints: (C1) equal shapes.
    ```mlir
    %pb = tile.convert %p : !S -> !P
    ```
  }];
  let arguments = (ins Tile_Frag:$input);
  let results = (outs Tile_Frag:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tile_ReduceOp : Tile_Op<"reduce", [Pure, AllTypesMatch<["init", "result"]>]> {
  let summary = "Combines the columns of a row, starting from an initial value";
  let description = [{
    `add`: result[r] = init[r] + sum over columns, in a layout `row_partial` as four summands.
    Constraints: (C1) `init` is 1-D with the input's rows and element type.
    ```mlir
    %sum = tile.reduce add %x, %zero : !S, !R
    ```
  }];
  let arguments = (ins Tile_ReduceKind:$kind, Tile_Frag:$input, Tile_Frag:$init);
  let results = (outs Tile_Frag:$result);
  let assemblyFormat = "$kind $input `,` $init attr-dict `:` type($input) `,` type($init)";
  let hasVerifier = 1;
}

def Tile_CombineOp : Tile_Op<"combine"> {
  let summary = "A row's value from what its lanes and parts hold";
  let description = [{
    result[r] = the input's values for row r over the lanes t and the parts, combined by `kind`, in the order of the parts:
    all hold the same to the bit. Values of parts pass through `$scratch`; the threads that run the kernel or its role meet
    in the operation, between its writes and its reads.

    Constraints: (C1) the input is 1-D f32 in layout `row_partial`, the result in `row`, with the same rows, warps and parts.
    (C2) the scratch is plain, of f32, parts x rows.
    ```mlir
    %m = tile.combine max %own, %scratch : !L, !tile.buffer<2x64xf32, #tile.smem<0>> -> !R
    ```
  }];
  let arguments = (ins Tile_ReduceKind:$kind, Tile_Frag:$input, Tile_Buffer:$scratch);
  let results = (outs Tile_Frag:$result);
  let assemblyFormat = "$kind $input `,` $scratch attr-dict `:` type($input) `,` type($scratch) `->` type($result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Online softmax
//===----------------------------------------------------------------------===//

/// The scale is a number as the elements of that fragment are.
class Tile_ScaleOf<string fragment>
    : TypesMatchWith<"the scale is of the fragments' element type", fragment, "scale",
                     "::llvm::cast<::attn::tile::FragType>($_self).getElementType()">;

def Tile_SoftmaxStepOp : Tile_Op<"softmax_step", [Pure, AllTypesMatch<["scores", "probs"]>,
                                                  AllTypesMatch<["row_max", "new_row_max", "alpha"]>,
                                                  AllTypesMatch<["row_sum", "new_row_sum"]>,
                                                  Tile_ScaleOf<"scores">]> {
  let summary = "One step of online softmax over a block of scores";
  let description = [{
    With x the scores in units of 1/c log2, m0 the row_max so far and l0 the row_sum:
        m1 = max(m0, rowmax x);  z = m1 = -inf ? 0 : m1·c
        alpha = 2^(m0·c - z);  p = 2^(x·c - z);  l1 = l0·alpha + rowsum p
    `row_max` is in units of x. A row whose keys are all hidden keeps its state: p = 0, and alpha = 0 with m0 = -inf
    (its row_sum and acc are 0 then, or the start value of a sink of -inf, which counts nothing).

    `lazy`: rescale only when the row_max grows by more than this (log2 units). `emulate`: percent of the exponentials
    computed on the FMA units. `offset`: added to the exponent of p, for 8-bit probs.

    `block_max` is rowmax x, where it has been computed before: no thread has a row's scores if these are cut into parts.

    Constraints: (C1) row_max and row_sum are 1-D with the scores' rows; all elements are f32, or all f64. (C2) block_max has
    row_max's type; it is there if the scores are in parts.
    ```mlir
    %m1, %l1, %alpha, %p = tile.softmax_step %x, %m0, %l0 scale %c : !S, !R, !L
    ```
  }];
  let arguments = (ins Tile_Frag:$scores, Tile_Frag:$row_max, Tile_Frag:$row_sum, AnyTypeOf<[F32, F64]>:$scale, Optional<Tile_Frag>:$block_max,
                       OptionalAttr<F32Attr>:$lazy, OptionalAttr<I32Attr>:$emulate, OptionalAttr<F32Attr>:$offset);
  let results = (outs Tile_Frag:$new_row_max, Tile_Frag:$new_row_sum, Tile_Frag:$alpha, Tile_Frag:$probs);
  let assemblyFormat = [{
    $scores `,` $row_max `,` $row_sum `scale` $scale (`block_max` $block_max^ `:` type($block_max))? attr-dict
    `:` type($scores) `,` type($row_max) `,` type($row_sum)
  }];
  let hasVerifier = 1;
}

def Tile_ScaleOp : Tile_Op<"scale", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "Multiplies each row by its factor";
  let description = [{Constraints: (C1) the factor is 1-D with the input's rows.}];
  let arguments = (ins Tile_Frag:$input, Tile_Frag:$factor);
  let results = (outs Tile_Frag:$result);
  let assemblyFormat = "$input `,` $factor attr-dict `:` type($input) `,` type($factor)";
  let hasVerifier = 1;
}

def Tile_FinishOp : Tile_Op<"finish", [Pure, Tile_ScaleOf<"row_max">]> {
  let summary = "From the state's row_max and row_sum: the factor of acc, and lse";
  let description = [{
        inverse = l = 0 ? 0 : 1/l;  lse = l = 0 ? -inf : (m·c + log2 l)·ln 2        (natural logarithm)
    Constraints: (C1) both inputs and both results are 1-D of one length.
    ```mlir
    %inv, %lse = tile.finish %m, %l scale %c : !R, !R -> !R, !R
    ```
  }];
  let arguments = (ins Tile_Frag:$row_max, Tile_Frag:$row_sum, AnyTypeOf<[F32, F64]>:$scale);
  let results = (outs Tile_Frag:$inverse, Tile_Frag:$lse);
  let assemblyFormat = [{
    $row_max `,` $row_sum `scale` $scale attr-dict
    `:` type($row_max) `,` type($row_sum) `->` type($inverse) `,` type($lse)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

def Tile_DotOp : Tile_Op<"dot", [AllTypesMatch<["acc", "result"]>,
                                  DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Matrix product, accumulated in f32, or in f64";
  let description = [{
    result = acc + a·b, with `trans` acc + a·bᵀ (b stored N x K). Operands are fragments before AssignLayouts; then a
    is an `lhs` fragment or a buffer, b a buffer.

    f32 operands are multiplied as sums of two tf32 numbers each (three products, close to f32's own error), in kernels
    marked `tile.tf32` as one: rounded to tf32.

    Constraints: (C1) a is M x K, b is K x N (N x K with `trans`), acc is M x N; b without `trans` may have more
    columns, the padding of its panels, which are not multiplied. (C2) a and b have one element type, or
    both are 8-bit floats; acc is f32, or f64 as they are. (C3) K is a multiple of 16, of 32 with 8-bit floats; N of 8.
    ```mlir
    %s = tile.dot %q, trans %k, %zs : !H, !H -> !S
    ```
  }];
  let arguments = (ins AnyTypeOf<[Tile_Frag, Tile_Buffer]>:$lhs, AnyTypeOf<[Tile_Frag, Tile_Buffer]>:$rhs,
                       Tile_Frag:$acc, UnitAttr:$trans);
  let results = (outs Tile_Frag:$result);
  let assemblyFormat = [{
    $lhs `,` (`trans` $trans^)? $rhs `,` $acc attr-dict `:` type($lhs) `,` type($rhs) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_DotAsyncOp : Tile_Op<"dot_async"> {
  let summary = "Starts a matrix product; `tile.wait` gives its result";
  let description = [{
    As `tile.dot`, whose constraints hold; (C4) the result is in flight with acc's shape, element type and layout.
    ```mlir
    %fs = tile.dot_async %qb, trans %kb, %zs : !B, !B, !S -> !fS
    ```
  }];
  let arguments = (ins AnyTypeOf<[Tile_Frag, Tile_Buffer]>:$lhs, AnyTypeOf<[Tile_Frag, Tile_Buffer]>:$rhs,
                       Tile_Frag:$acc, UnitAttr:$trans);
  let results = (outs Tile_Inflight:$result);
  let assemblyFormat = [{
    $lhs `,` (`trans` $trans^)? $rhs `,` $acc attr-dict
    `:` type($lhs) `,` type($rhs) `,` type($acc) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_WaitOp : Tile_Op<"wait"> {
  let summary = "The result of a product in flight, when it is done";
  let description = [{Constraints: (C1) the result's shape, element type and layout are the input's.}];
  let arguments = (ins Tile_Inflight:$input);
  let results = (outs Tile_Frag:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

def Tile_PinOp : Tile_Op<"pin"> {
  let summary = "These values are computed before anything after it";
  let arguments = (ins Variadic<Tile_Frag>:$values);
  let assemblyFormat = "$values attr-dict `:` type($values)";
}

def Tile_TurnBeginOp : Tile_Op<"turn_begin"> {
  let summary = "The role's warpgroups pass here in round-robin order";
  let arguments = (ins I32Attr:$turn);
  let assemblyFormat = "$turn attr-dict";
}

def Tile_TurnEndOp : Tile_Op<"turn_end"> {
  let summary = "Lets the next warpgroup pass its `turn_begin`";
  let arguments = (ins I32Attr:$turn);
  let assemblyFormat = "$turn attr-dict";
}

def Tile_FenceOp : Tile_Op<"fence"> {
  let summary = "Orders accesses of different kinds; written by InsertBarriers only";
  let arguments = (ins Tile_FenceKind:$kind);
  let assemblyFormat = "$kind attr-dict";
}

def Tile_BarrierOp : Tile_Op<"barrier"> {
  let summary = "A barrier of the role's threads; written by InsertBarriers only";
  let assemblyFormat = "attr-dict";
}

#endif // ATTN_IR_TILE_TILEOPS
