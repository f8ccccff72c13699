// The enumerations.
#ifndef ATTN_IR_ATTN_ATTNATTRS
#define ATTN_IR_ATTN_ATTNATTRS

include "ir/attn/AttnDialect.td"
include "mlir/IR/EnumAttr.td"

def Attn_IndexKind : I32EnumAttr<"IndexKind", "which index of the point", [
    I32EnumAttrCase<"b", 0>, I32EnumAttrCase<"h", 1>, I32EnumAttrCase<"kv_head", 2>, I32EnumAttrCase<"q_idx", 3>,
    I32EnumAttrCase<"kv_idx", 4>]> {
  let cppNamespace = "::attn::ir";
  let genSpecializedAttr = 0;
}
def Attn_IndexKindAttr : EnumAttr<Attn_Dialect, Attn_IndexKind, "index_kind">;

def Attn_Weights : I32EnumAttr<"Weights", "how a score becomes a weight", [
    I32EnumAttrCase<"softmax", 0>, I32EnumAttrCase<"direct", 1>]> {
  let cppNamespace = "::attn::ir";
  let genSpecializedAttr = 0;
}
def Attn_WeightsAttr : EnumAttr<Attn_Dialect, Attn_Weights, "weights">;

def Attn_RowSide : I32EnumAttr<"RowSide", "whose rows a tensor holds", [
    I32EnumAttrCase<"query", 0>, I32EnumAttrCase<"key", 1>]> {
  let cppNamespace = "::attn::ir";
  let genSpecializedAttr = 0;
}
def Attn_RowSideAttr : EnumAttr<Attn_Dialect, Attn_RowSide, "row_side">;

#endif // ATTN_IR_ATTN_ATTNATTRS
