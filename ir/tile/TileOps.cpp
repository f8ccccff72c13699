// Operations of the dialect `tile`: text, folding, memory effects. Their constraints are in TileVerify.cpp.
#include "ir/tile/TileDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace attn::tile;

/// A bare word as a string attribute: the name of a role.
static ParseResult parseKeyword(OpAsmParser &parser, StringAttr &name) {
  StringRef word;
  if (parser.parseKeyword(&word))
    return failure();
  name = parser.getBuilder().getStringAttr(word);
  return success();
}

static void printKeyword(OpAsmPrinter &printer, Operation *, StringAttr name) { printer << name.getValue(); }

#define GET_OP_CLASSES
#include "ir/tile/TileOps.cpp.inc"

//===----------------------------------------------------------------------===//
// Names in printed IR
//===----------------------------------------------------------------------===//

void ForeachWorkOp::getAsmBlockNames(OpAsmSetBlockNameFn setName) { setName(&getBody().front(), "work"); }

/// (batch, heads, tiles of rows), as plans with three extents have them.
void ForeachWorkOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  static constexpr StringRef kNames[] = {"b", "h", "t"};
  if (getExtents().size() == std::size(kNames))
    for (auto [argument, name] : llvm::zip(region.getArguments(), kNames))
      setName(argument, name);
}

void MapOp::getAsmBlockNames(OpAsmSetBlockNameFn setName) { setName(&getBody().front(), "element"); }
void MapOp::getAsmBlockArgumentNames(Region &, OpAsmSetValueNameFn) {}

void RowOp::getAsmResultNames(OpAsmSetValueNameFn setName) { setName(getResult(), "row"); }
void ColOp::getAsmResultNames(OpAsmSetValueNameFn setName) { setName(getResult(), "col"); }

/// By the extent, where the size is one.
void SizeOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  std::string size = getTensor().getType().getSizeText(getDim());
  if (llvm::all_of(size, [](char c) { return llvm::isAlnum(c) || c == '_'; }) && !llvm::isDigit(size.front()))
    setName(getResult(), size);
}

//===----------------------------------------------------------------------===//
// Folding, memory effects
//===----------------------------------------------------------------------===//

OpFoldResult SizeOp::fold(FoldAdaptor) {
  if (auto size = getTensor().getType().getStaticSize(getDim()))
    return IntegerAttr::get(getType(), *size);
  return {};
}

OpFoldResult ConvertOp::fold(FoldAdaptor) { return getInput().getType() == getType() ? getInput() : Value(); }

void DotOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  for (OpOperand *operand : {&getLhsMutable(), &getRhsMutable()})
    if (isa<BufferType>(operand->get().getType()))
      effects.emplace_back(MemoryEffects::Read::get(), operand);
}
