// The dialect, and the attributes it puts on upstream ops.
#ifndef ATTN_IR_ATTN_ATTNDIALECT
#define ATTN_IR_ATTN_ATTNDIALECT

include "mlir/IR/OpBase.td"

def Attn_Dialect : Dialect {
  let name = "attn";
  let cppNamespace = "::attn::ir";
  let summary = "What is computed: attention as scalar mathematics of one (query, key)";
  let description = [{
    `attn` holds the mathematics of attention for one (request, head, query row, key row) in regions. Which rows a
    region may look at, its *domain*, is part of the structure: `attn.index` ops carry positions, so code moves between
    regions without renaming and a domain is checked by the indices in use. Nothing here names a tile, a thread or an
    instruction; that is the `tile` dialect.

    A *plan* is a `func.func` with attribute `attn.plan` over `!attn.tensor`s. Every top-level `attn` op in it is one
    kernel, every tensor or state that passes between two of them is workspace. Scalar launch arguments are function
    arguments of type i32, f32 or i1; scalar `arith` on them may stand at the top level.

    Attributes on a plan:
      * `attn.plan`: marks the function;
      * `attn.layout = "bshd" | "bhsd"`: in which order the caller passes batch, rows, heads and channels of query,
        key, value and out. In the IR dimensions are always in `bshd` order; the layout is a matter of strides.

    Attributes on an argument of a plan:
      * `attn.name = "window"`: its name in the manifest; query, key and value may go without;
      * `attn.in = ["lo", "hi"]`: all values lie between, both included; size expressions over extents;
      * `attn.ascending`: each row of the tensor ascends (repeated from the type, which is what counts);
      * `attn.bool`: a tensor of i8 whose bytes are booleans;
      * `attn.positive`: a scalar that is > 0 (softmax_scale given at launch);
      * `attn.default = 8 : i32`: the value of a scalar that is not given at launch;
      * `attn.most_step = "q_len"`: each number is at most that much above the one before it: lengths in prefix sums;
      * `attn.counted_by = ["kv_lens", 64]`: of row b the first ceil(kv_lens[b] / 64) numbers count, others may be anything.
    On a result: `attn.name = "out"`.

    On a `cmpi`: `attn.fact = i`, the condition surely holds on the key ranges `facts[i]` of `attn.yield_ranges`.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::math::MathDialect",
                           "::mlir::vector::VectorDialect"];
  let extraClassDeclaration = [{
    static constexpr ::llvm::StringLiteral kPlan{"attn.plan"};
    static constexpr ::llvm::StringLiteral kLayout{"attn.layout"};
    static constexpr ::llvm::StringLiteral kName{"attn.name"};
    static constexpr ::llvm::StringLiteral kIn{"attn.in"};
    static constexpr ::llvm::StringLiteral kAscending{"attn.ascending"};
    static constexpr ::llvm::StringLiteral kBool{"attn.bool"};
    static constexpr ::llvm::StringLiteral kPositive{"attn.positive"};
    static constexpr ::llvm::StringLiteral kDefault{"attn.default"};
    static constexpr ::llvm::StringLiteral kFact{"attn.fact"};
  }];
}

#endif // ATTN_IR_ATTN_ATTNDIALECT
