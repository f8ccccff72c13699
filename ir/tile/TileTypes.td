// Types of the dialect `tile`.
#ifndef ATTN_IR_TILE_TILETYPES
#define ATTN_IR_TILE_TILETYPES

include "ir/tile/TileLayouts.td"

class Tile_Type<string name, string typeMnemonic> : TypeDef<Tile_Dialect, name> {
  let mnemonic = typeMnemonic;
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Tile_Tensor : Tile_Type<"TileTensor", "tensor"> {
  let summary = "A tensor in global memory: a kernel argument";
  let description = [{
    Pointer, sizes and strides (runtime values, the last 1). A size is a number, the name of an extent, or a size
    expression in quotes: `!tile.tensor<[batch, kv_len, 2, 64], f16>`, `!tile.tensor<["2 * radius + 1"], f32>`.
    The same name is one value everywhere. Element `i1` means bits packed into 32-bit words along the last
    dimension; a `bool` is an `i8`. `ascending` promises ascending values along the last dimension.
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::Attribute">:$sizes, "::mlir::Type":$elementType,
                        DefaultValuedParameter<"bool", "false">:$ascending);
  let extraClassDeclaration = [{
    unsigned getRank() const { return getSizes().size(); }
    /// The size of dimension `dim` if it is a number.
    std::optional<int64_t> getStaticSize(unsigned dim) const;
    /// Dimension `dim` as text: a number, a name or a size expression (support/SizeExpr.h).
    std::string getSizeText(unsigned dim) const;
  }];
}

def Tile_Frag : Tile_Type<"Frag", "frag"> {
  let summary = "A value spread over the registers of a role's threads";
  let description = [{
    `!tile.frag<128x128xf32, #tile.acc<8>>`; 1-D: an entry a row. Without a layout before AssignLayouts.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType,
                        OptionalParameter<"::mlir::Attribute">:$layout);
  let extraClassDeclaration = [{
    unsigned getRank() const { return getShape().size(); }
    int64_t getRows() const { return getShape()[0]; }
    int64_t getColumns() const { return getShape()[1]; }
    FragType withLayout(::mlir::Attribute layout) const { return get(getContext(), getShape(), getElementType(), layout); }
    FragType withElementType(::mlir::Type element) const { return get(getContext(), getShape(), element, getLayout()); }
    /// The 1-D fragment with an entry a row of this one, without a layout.
    FragType rowsOnly() const { return get(getContext(), getShape().take_front(), getElementType(), {}); }
  }];
}

def Tile_Inflight : Tile_Type<"Inflight", "inflight"> {
  let summary = "A fragment still owned by the tensor core; only `tile.wait` opens it";
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType,
                        OptionalParameter<"::mlir::Attribute">:$layout);
  let extraClassDeclaration = [{
    FragType getFragType() const { return FragType::get(getContext(), getShape(), getElementType(), getLayout()); }
  }];
}

def Tile_Buffer : Tile_Type<"Buffer", "buffer"> {
  let summary = "An array in shared memory";
  let description = [{`!tile.buffer<128x64xf16, #tile.smem<128>>`}];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType, "::mlir::Attribute":$layout);
  let extraClassDeclaration = [{
    unsigned getRank() const { return getShape().size(); }
    SmemAttr getSmem() const { return ::llvm::cast<SmemAttr>(getLayout()); }
  }];
}

def Tile_Ring : Tile_Type<"Ring", "ring"> {
  let summary = "Buffers used in turn";
  let description = [{
    `!tile.ring<2, 128x64xf16, #tile.smem<128>>`: entry n (an SSA value) lies in slot n mod stages.
  }];
  let parameters = (ins "unsigned":$stages, ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType,
                        "::mlir::Attribute":$layout);
  let extraClassDeclaration = [{
    BufferType getBufferType() const { return BufferType::get(getContext(), getShape(), getElementType(), getLayout()); }
  }];
}

#endif // ATTN_IR_TILE_TILETYPES
