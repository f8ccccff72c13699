// The types: an operand in memory, and the state of a row.
#ifndef ATTN_IR_ATTN_ATTNTYPES
#define ATTN_IR_ATTN_ATTNTYPES

include "ir/attn/AttnDialect.td"
include "mlir/IR/AttrTypeBase.td"

class Attn_Type<string name, string typeMnemonic> : TypeDef<Attn_Dialect, name> {
  let mnemonic = typeMnemonic;
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Attn_Tensor : Attn_Type<"AttnTensor", "tensor"> {
  let summary = "An operand in memory";
  let description = [{
    Sizes are numbers, names bound at launch (the same name is one value everywhere), or size expressions over names in
    quotes. Dimensions stand in `bshd` order; strides are runtime values, the last is 1. `i1` elements are bits packed
    into 32-bit words, lowest first; booleans of a byte are `i8`. `ascending` promises that the last dimension ascends.

        !attn.tensor<[batch, kv_len, 8, 128], bf16>
        !attn.tensor<[batch, kv_len], i32, ascending>
        !attn.tensor<[32, "2 * q_len - 1"], f32>
  }];
  let parameters = (ins
    ArrayRefParameter<"::mlir::Attribute", "an i64 integer, or a string with a size expression">:$sizes,
    "::mlir::Type":$elementType,
    "bool":$ascending);
  let builders = [
    TypeBuilder<(ins "::llvm::ArrayRef<::mlir::Attribute>":$sizes, "::mlir::Type":$elementType), [{
      return $_get($_ctxt, sizes, elementType, false);
    }]>];
  let extraClassDeclaration = [{
    unsigned getRank() const { return getSizes().size(); }
    /// The size of dimension `dim` over extents.
    ::attn::SizeExpr getSize(unsigned dim) const { return sizeExprOf(getSizes()[dim]); }
    /// The number, if dimension `dim` is one.
    std::optional<int64_t> getConstantSize(unsigned dim) const;
    /// The type a fully indexed load of it gives: f32 or i32 (i1 for bits; for i8 the load says which).
    ::mlir::Type getLoadedType() const;
  }];
}

def Attn_State : Attn_Type<"AttnState", "state"> {
  let summary = "The running state of softmax attention, an entry a query row";
  let description = [{
    (row_max in log2 units, row_sum, acc), unnormalised f32, the accumulator `rowLength` long, and with `bins` one
    histogram a value-side table. A commutative monoid under `attn.merge`, with `attn.identity` as neutral element.

        !attn.state<[batch, 8, q_len], 64>
        !attn.state<[batch, 8, q_len], 64, bins [33]>
  }];
  let parameters = (ins
    ArrayRefParameter<"::mlir::Attribute", "sizes as of a tensor">:$sizes,
    "int64_t":$rowLength,
    ArrayRefParameter<"int64_t", "rows of each value-side table">:$bins);
}

#endif // ATTN_IR_ATTN_ATTNTYPES
