// The operations: attention, states, and what may stand in regions.
#ifndef ATTN_IR_ATTN_ATTNOPS
#define ATTN_IR_ATTN_ATTNOPS

include "ir/attn/AttnAttrs.td"
include "ir/attn/AttnTypes.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Attn_Op<string mnemonic, list<Trait> traits = []> : Op<Attn_Dialect, mnemonic, traits>;

/// Regions compute in f32, and in f64 where query, key and value are f64.
def Attn_Real : AnyTypeOf<[F32, F64]>;
def Attn_Row : VectorOfRankAndType<[1], [F32, F64]>;
def Attn_Scalar : AnyTypeOf<[F32, F64, I32, I1]>;

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

class Attn_AttentionBase<string mnemonic> : Attn_Op<mnemonic, [
    Pure, SingleBlock, AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames", "getAsmBlockArgumentNames", "getAsmBlockNames"]>]> {
  dag tensorArguments = (ins
    Arg<Attn_Tensor, "[batch, q_len, q_heads, head_dim]">:$query,
    Arg<Attn_Tensor, "[batch, kv_len, kv_heads, head_dim]">:$key,
    Arg<Attn_Tensor, "[batch, kv_len, kv_heads, head_dim_v]">:$value,
    Arg<Variadic<Attn_Tensor>, "cu_seqlens_q, cu_seqlens_kv of rows in sequence">:$ragged,
    Arg<Variadic<Attn_Tensor>, "cu_seqlens_q, page_table, kv_lens of a paged cache">:$paged,
    DefaultValuedAttr<Attn_WeightsAttr, "::attn::ir::Weights::softmax">:$weights,
    UnitAttr:$normalize,
    UnitAttr:$log2,
    OptionalAttr<TypeAttr>:$probs_type,
    OptionalAttr<I64Attr>:$page_size,
    OptionalAttr<DictionaryAttr>:$schedule);
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let hasCanonicalizeMethod = 1;
  code tensorDeclarations = [{
    AttnTensorType getQueryType() { return ::llvm::cast<AttnTensorType>(getQuery().getType()); }
    AttnTensorType getKeyType() { return ::llvm::cast<AttnTensorType>(getKey().getType()); }
    AttnTensorType getValueType() { return ::llvm::cast<AttnTensorType>(getValue().getType()); }
    /// Lengths of a stored query/key row, of a stored value row, and of a row of the weighted sum.
    int64_t getHeadDim() { return *getQueryType().getConstantSize(getQueryType().getRank() - 1); }
    int64_t getStoredValueLength() { return *getValueType().getConstantSize(getValueType().getRank() - 1); }
    int64_t getValueRowLength();
    /// What a row of probs is rounded to before it meets value: `probs_type`, else the type of value.
    ::mlir::Type getProbsElementType();
    /// Regions query, key, value, score, mask, weight, init, ranges: what a step over keys needs, in this order.
    ::llvm::SmallVector<::mlir::Region *, 8> getStepRegions() {
      return {&getQueryRegion(), &getKeyRegion(), &getValueRegion(), &getScore(), &getMask(), &getWeight(), &getInit(),
              &getRanges()};
    }
    /// Fills an empty region with a block of these arguments and returns it; the caller adds the terminator.
    ::mlir::Block *addBlock(::mlir::Region &region, ::mlir::TypeRange arguments);
    /// What `score` takes from each side: the yields of `query` and `key`, or the stored rows.
    ::llvm::SmallVector<::mlir::Type> getQueryFeatureTypes();
    ::llvm::SmallVector<::mlir::Type> getKeyFeatureTypes();
  }];
}

def Attn_AttentionOp : Attn_AttentionBase<"attention"> {
  let summary = "Attention of query over key and value";
  let description = [{
    For each query row i of each (request, head), over the visible keys j (region `mask`):

        weights = softmax:  p_j = 2^(s_j - lse2),  lse2 = log2 Σ_j 2^s_j     s = score in log2 units, w/ `log2`;
                                                                             else s = score · log2(e)
        weights = direct:   p_j = w_j;  with `normalize` p_j = w_j / Σ_j by_j (0 where the sum is 0)
        out = Σ_j p'_j · v'_j

    Regions, the rows they may look at (their *domain*), what they take and yield, and what absence means:

    | region | domain | arguments → yields | absent |
    |---|---|---|---|
    | `query` | row: b h kv_head q_idx | row → one or more query features | the row itself |
    | `key`, `value` | column: b h kv_head kv_idx | row → key features; row → one row | the row itself |
    | `score` | point | query features, key features → score; `direct`: weight, or weight and `by` | scaled dot |
    | `mask` | point | → i1 | true |
    | `weight` | point | weight p, value row v → p', v' | p, v |
    | `init` | row | → logit of a sink, unit as scores | none |
    | `out` | row | weighted sum → result row | itself |
    | `ranges` | tile: b h kv_head | first and last q_idx → key ranges | [0, kv_len) |

    Where the mask is false nothing else counts. A row without a visible key gives out = 0 and lse = -inf (with a sink:
    lse = sink). Results are named by `outputs`; without it they are out, lse, max_score as far as there are results.
    lse and max_score are natural logs.

    Constraints:
      * (C1) a region uses only the indices of its domain;
      * (C2) the yields of `query` and `key` are the leading and trailing arguments of `score`;
      * (C3) a feature is used by `attn.dot` only, whose other operand is a feature, of the other side or of its own,
        or a loaded row;
      * (C4) `weight` yields p·f with f free of p, and v plus a sum of loaded rows;
      * (C5) kv_heads divides q_heads.

    Example: tests/lit/ir/attn/attention.mlir
  }];
  let arguments = !con(tensorArguments, (ins OptionalAttr<StrArrayAttr>:$outputs));
  let results = (outs Variadic<Attn_Tensor>:$results);
  let regions = (region AnyRegion:$queryRegion, AnyRegion:$keyRegion, AnyRegion:$valueRegion, AnyRegion:$score,
                        AnyRegion:$mask, AnyRegion:$weight, AnyRegion:$init, AnyRegion:$ranges, AnyRegion:$out);
  let assemblyFormat = [{
    `query` `(` $query `:` qualified(type($query)) `)` `key` `(` $key `:` qualified(type($key)) `)` `value` `(` $value `:` qualified(type($value)) `)`
    (`ragged` `(` $ragged^ `:` qualified(type($ragged)) `)`)? (`paged` `(` $paged^ `:` qualified(type($paged)) `)`)? attr-dict
    `->` qualified(type($results))
    custom<AttentionRegions>($queryRegion, $keyRegion, $valueRegion, $score, $mask, $weight, $init, $ranges, $out)
  }];
  let builders = [OpBuilder<(ins "::mlir::TypeRange":$results, "::mlir::Value":$query, "::mlir::Value":$key,
                                 "::mlir::Value":$value, CArg<"::mlir::ValueRange", "{}">:$ragged,
                                 CArg<"::mlir::ValueRange", "{}">:$paged)>];
  let extraClassDeclaration = tensorDeclarations # [{
    /// The result of this name ("out", "lse", "max_score"), or null.
    ::mlir::Value getOutput(::llvm::StringRef name);
  }];
}

def Attn_OnlineAttentionOp : Attn_AttentionBase<"online_attention"> {
  let summary = "One step of attention over ranges of keys, from a running state to the next";
  let description = [{
    Given `state` (row_max m, row_sum l, acc) over the keys seen so far, absorbs the keys of `key` that `mask` shows:

        softmax:  m' = max(m, max_j s_j);  l' = l·2^(m - m') + Σ_j 2^(s_j - m');
                  acc' = acc·2^(m - m') + Σ_j 2^(s_j - m')·f_j·v'_j
        direct:   l' = l + Σ_j by_j;  acc' = acc + Σ_j w_j·f_j·v'_j

    with scores s in log2 units, f and v' from region `weight`. The step is associative and commutative along the keys,
    so keys may be tiled, reordered or split (`attn.merge`). A region `init` absorbs one more key of that score (log2
    units) and of value 0, once. A row whose keys are all masked leaves its state unchanged.
    Region `ranges` gives the keys a tile of rows must visit; all others are hidden from all its rows.
    With `split = n` keys are dealt to n states, a leading dimension of the result.
    With `attn.weights_above = c`, of a softmax whose scores are bounded, m stays c in all rows: no maximum is looked for.

    Regions, domains and constraints (C1) to (C5) as of `attn.attention`.

    Example: tests/lit/ir/attn/online_attention.mlir
  }];
  let arguments = !con((ins Arg<Attn_State, "state before these keys">:$state), tensorArguments,
                       (ins OptionalAttr<I64Attr>:$split));
  let results = (outs Res<Attn_State, "state after them">:$result);
  let regions = (region AnyRegion:$queryRegion, AnyRegion:$keyRegion, AnyRegion:$valueRegion, AnyRegion:$score,
                        AnyRegion:$mask, AnyRegion:$weight, AnyRegion:$init, AnyRegion:$ranges);
  let assemblyFormat = [{
    $state `:` qualified(type($state)) `query` `(` $query `:` qualified(type($query)) `)` `key` `(` $key `:` qualified(type($key)) `)`
    `value` `(` $value `:` qualified(type($value)) `)` (`ragged` `(` $ragged^ `:` qualified(type($ragged)) `)`)?
    (`paged` `(` $paged^ `:` qualified(type($paged)) `)`)? attr-dict `->` qualified(type($result))
    custom<StepRegions>($queryRegion, $keyRegion, $valueRegion, $score, $mask, $weight, $init, $ranges)
  }];
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$state, "::mlir::Value":$query,
                                 "::mlir::Value":$key, "::mlir::Value":$value, "::mlir::ValueRange":$ragged,
                                 "::mlir::ValueRange":$paged)>];
  let extraClassDeclaration = tensorDeclarations;
}

def Attn_IdentityOp : Attn_Op<"identity", [Pure, DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "The state that has seen no key";
  let description = [{
    (row_max, row_sum, acc) = (-inf, 0, 0) in every row, the neutral element of `attn.merge`.
    ```mlir
    %s0 = attn.identity : !attn.state<[batch, 8, q_len], 64>
    ```
  }];
  let results = (outs Attn_State:$result);
  let assemblyFormat = "attr-dict `:` qualified(type($result))";
}

def Attn_MergeOp : Attn_Op<"merge", [Pure]> {
  let summary = "The state of all keys from the states of disjoint sets of keys";
  let description = [{
    Reduces the leading dimension of `state`, in its order:

        m = max_n m_n;  l = Σ_n l_n·2^(m_n - m);  acc = Σ_n acc_n·2^(m_n - m)

    Summands of states that have seen no key are 0.
    Constraints: (C6) the result is the operand without its leading dimension.
    ```mlir
    %s = attn.merge %parts : !attn.state<[4, batch, 8, q_len], 64> -> !attn.state<[batch, 8, q_len], 64>
    ```
  }];
  let arguments = (ins Attn_State:$state);
  let results = (outs Attn_State:$result);
  let assemblyFormat = "$state attr-dict `:` qualified(type($state)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def Attn_FinalizeOp : Attn_Op<"finalize", [
    Pure, SingleBlock,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames", "getAsmBlockArgumentNames", "getAsmBlockNames"]>]> {
  let summary = "Outputs from a state";
  let description = [{
        out = region out(acc / row_sum);  lse = (row_max + log2 row_sum)·ln 2;  max_score = row_max·ln 2

    out = 0 and lse = max_score = -inf for a row that has seen no key. `undivided` leaves acc as it is (direct weights
    without `normalize`). `outputs` names the results as on `attn.attention`. Fuses into the op that makes its state.
    ```mlir
    %out, %lse = attn.finalize %s1 : !st -> !q, !lse
    ```
  }];
  let arguments = (ins Attn_State:$state, UnitAttr:$undivided, OptionalAttr<StrArrayAttr>:$outputs);
  let results = (outs Variadic<Attn_Tensor>:$results);
  let regions = (region AnyRegion:$out);
  let assemblyFormat = "$state attr-dict `:` qualified(type($state)) `->` qualified(type($results)) custom<OutRegion>($out)";
  let builders = [OpBuilder<(ins "::mlir::TypeRange":$results, "::mlir::Value":$state)>];
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// The result of this name ("out", "lse", "max_score"), or null.
    ::mlir::Value getOutput(::llvm::StringRef name);
  }];
}

def Attn_TransformOp : Attn_Op<"transform", [Pure, SingleBlock]> {
  let summary = "A row region applied to all rows of a tensor";
  let description = [{
    result[b, i, head] = row(tensor[b, i, head]): keys rotated once, an append with rotation, quantisation. `over` says
    whether i is q_idx and head is h, or i is kv_idx and head is kv_head. A kernel of its own.
    ```mlir
    %rotated = attn.transform %key over key : !kv -> !kv row { ^row(%k: vector<64xf32>): … attn.yield %r : vector<64xf32> }
    ```
  }];
  let arguments = (ins Attn_Tensor:$tensor, Attn_RowSideAttr:$over);
  let results = (outs Attn_Tensor:$result);
  let regions = (region SizedRegion<1>:$row);
  let assemblyFormat = "$tensor `over` custom<RowSide>($over) attr-dict `:` qualified(type($tensor)) `->` qualified(type($result)) `row` $row";
  let hasRegionVerifier = 1;
}

//===----------------------------------------------------------------------===//
// In regions: positions, sizes, parameters
//===----------------------------------------------------------------------===//

def Attn_IndexOp : Attn_Op<"index", [Pure, DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "An index of the point";
  let description = [{
    b: request; h: query head; kv_head: h // (q_heads // kv_heads); q_idx: row among the request's queries; kv_idx: row
    among its keys. Which ones a region may use is its domain (C1).
    ```mlir
    %i = attn.index q_idx
    ```
  }];
  let arguments = (ins Attn_IndexKindAttr:$kind);
  let results = (outs I32:$result);
  let assemblyFormat = "custom<IndexKind>($kind) attr-dict";
  let hasVerifier = 1;
}

def Attn_SizeOp : Attn_Op<"size", [Pure, DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "The value of an extent";
  let description = [{
    q_len and kv_len, and q_start and kv_start (rows of all requests before it), are the request's own where the layout
    is ragged or paged.
    ```mlir
    %n = attn.size kv_len
    ```
  }];
  let arguments = (ins StrAttr:$name);
  let results = (outs I32:$result);
  let assemblyFormat = "custom<ExtentName>($name) attr-dict";
}

def Attn_LoadOp : Attn_Op<"load", [Pure]> {
  let summary = "A number or a row of a parameter";
  let description = [{
    With an index a dimension a scalar: f32 (or f64) for floating elements, i32 for integers, i1 for bits and (by the result type)
    for i8 booleans. With all but the last a row in f32 (or f64). An index out of range is the caller's error.
    Constraints: (C7) the number and type of indices fit the result.
    ```mlir
    %x = attn.load %bias[%h, %r] : !attn.tensor<[32, 64], f32> -> f32
    %row = attn.load %table[%r] : !attn.tensor<[33, 64], f16> -> vector<64xf32>
    ```
  }];
  let arguments = (ins Attn_Tensor:$tensor, Variadic<I32>:$indices);
  let results = (outs AnyTypeOf<[Attn_Scalar, Attn_Row]>:$result);
  let assemblyFormat = "$tensor `[` $indices `]` attr-dict `:` qualified(type($tensor)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def Attn_LowerBoundOp : Attn_Op<"lower_bound", [Pure]> {
  let summary = "First position of an ascending row with a value not below the given one";
  let description = [{
    min {j : t[i, j] ≥ v}, the row's length if there is none. In `ranges` only.
    Constraints: (C8) the tensor ascends; the indices are all but the last.
    ```mlir
    %j = attn.lower_bound %doc[%b], %v : !attn.tensor<[batch, kv_len], i32, ascending>
    ```
  }];
  let arguments = (ins Attn_Tensor:$tensor, Variadic<I32>:$indices, I32:$bound);
  let results = (outs I32:$result);
  let assemblyFormat = "$tensor `[` $indices `]` `,` $bound attr-dict `:` qualified(type($tensor))";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// In regions: mathematics that upstream dialects lack
//===----------------------------------------------------------------------===//

def Attn_DotOp : Attn_Op<"dot", [Pure, SameTypeOperands, Commutative,
                                 TypesMatchWith<"the result is an element of the rows", "lhs", "result", "::mlir::getElementTypeOrSelf($_self)">]> {
  let summary = "Inner product of two rows";
  let description = [{
    Σ a_c·b_c in f32 (of f64 rows in f64), both operands rounded once to the element type of the operand they come from.
    ```mlir
    %s = attn.dot %q, %k : vector<64xf32>
    ```
  }];
  let arguments = (ins Attn_Row:$lhs, Attn_Row:$rhs);
  let results = (outs Attn_Real:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` qualified(type($lhs))";
}

def Attn_RotateOp : Attn_Op<"rotate", [Pure, AllTypesMatch<["row", "result"]>]> {
  let summary = "A row with pairs of channels turned by angles";
  let description = [{
    With n angles the first 2n channels turn, the others stay. Pair p is (p, p + n), or (2p, 2p + 1) if `interleaved`:

        x' = x·cos(angle_p) - y·sin(angle_p);  y' = y·cos(angle_p) + x·sin(angle_p)

    Angles are radians.
    Constraints: (C9) 2n is at most the row's length.
    ```mlir
    %r = attn.rotate %q by %angle : vector<128xf32>, vector<64xf32>
    %s = attn.rotate %q by %angle interleaved : vector<128xf32>, vector<32xf32>
    ```
  }];
  let arguments = (ins Attn_Row:$row, Attn_Row:$angle, UnitAttr:$interleaved);
  let results = (outs Attn_Row:$result);
  let assemblyFormat = "$row `by` $angle (`interleaved` $interleaved^)? attr-dict `:` qualified(type($row)) `,` qualified(type($angle))";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Attn_ChannelOp : Attn_Op<"channel", [Pure]> {
  let summary = "The channel's number: 0, 1, 2, …";
  let description = [{
    Vectors made of it and constants alone (frequencies) are known when compiling.
    ```mlir
    %p = attn.channel : vector<64xf32>
    ```
  }];
  let results = (outs Attn_Row:$result);
  let assemblyFormat = "attr-dict `:` qualified(type($result))";
}

def Attn_RandomOp : Attn_Op<"random", [Pure]> {
  let summary = "A uniform number in [0, 1) for this point";
  let description = [{
    Philox4x32-10 with key (seed, offset), counter (q_idx, kv_idx / 4, b·q_heads + h), word kv_idx % 4: independent of
    tiles, equal in forward and backward. In point regions only.
    ```mlir
    %u = attn.random %seed, %offset
    ```
  }];
  let arguments = (ins I32:$seed, I32:$offset);
  let results = (outs F32:$result);
  let assemblyFormat = "$seed `,` $offset attr-dict";
  let hasVerifier = 1;
}

def Attn_SuffixSumOp : Attn_Op<"suffix_sum", [Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "Sum over this key and the visible ones of higher kv_idx";
  let description = [{
    Σ_{j' ≥ j, visible} x_{j'}: a carry a row, keys strictly descending, no split. In point regions only.
    ```mlir
    %s = attn.suffix_sum %x : f32
    ```
  }];
  let arguments = (ins Attn_Real:$value);
  let results = (outs Attn_Real:$result);
  let assemblyFormat = "$value attr-dict `:` qualified(type($value))";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Terminators
//===----------------------------------------------------------------------===//

def Attn_YieldOp : Attn_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "Ends a region and gives its results";
  let description = [{
    ```mlir
    attn.yield %p, %w : f32, vector<64xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyTypeOf<[Attn_Scalar, Attn_Row]>>:$values);
  let assemblyFormat = "$values attr-dict `:` qualified(type($values))";
}

def Attn_YieldRangesOp : Attn_Op<"yield_ranges", [Pure, Terminator, AttrSizedOperandSegments]> {
  let summary = "Ends region `ranges`: key ranges of a tile";
  let description = [{
    Half-open pairs lo, hi of keys; a pair with hi ≤ lo is empty; pairs may overlap. Every key outside all `visit` pairs
    is hidden from every row of the tile, every key in a `full` pair is visible to every row. Fact i of the point
    regions holds for every row on the keys of pair i of `facts`.
    Constraints: (C10) ends come in pairs.
    ```mlir
    attn.yield_ranges visit [%zero, %end] full [%zero, %full]
    ```
  }];
  let arguments = (ins Variadic<I32>:$visit, Variadic<I32>:$full, Variadic<I32>:$facts);
  let assemblyFormat = "`visit` ` ` `[` $visit `]` `full` ` ` `[` $full `]` (`facts` ` ` `[` $facts^ `]`)? attr-dict";
  let hasVerifier = 1;
}

#endif // ATTN_IR_ATTN_ATTNOPS
