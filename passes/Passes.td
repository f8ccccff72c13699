// All passes: names, options and dependent dialects. What a pass does in detail is said at the head of its file.
#ifndef ATTN_PASSES_PASSES
#define ATTN_PASSES_PASSES

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// attn → attn
//===----------------------------------------------------------------------===//

def ToOnlineAttention : Pass<"attn-to-online-attention", "::mlir::func::FuncOp"> {
  let summary = "Writes each attention as identity, online step and finalize";
  let description = [{
    `attn.attention` becomes `attn.identity`, `attn.online_attention`, `attn.finalize`. Regions move, none changes;
    region `out` goes to `finalize`. Expects `FoldScale`, `ClassifyMask` and `SelectSchedule` to have run: scores in
    log2 units, region `ranges` and attribute `schedule` present.
  }];
  let dependentDialects = ["::attn::ir::AttnDialect"];
}

#endif // ATTN_PASSES_PASSES
