// Operations of the dialect `tile`: text, folding, memory effects. Their constraints are in TileVerify.cpp.
#include "ir/tile/TileDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

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
