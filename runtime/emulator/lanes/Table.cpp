// The table of one instruction set.
#include "runtime/emulator/lanes/LaneHandlers.h"

namespace attn::emulator::ATTN_LANES {

Handler integerHandler(IntegerOp op, ptx::ScalarType type, ptx::ScalarType b);
Handler floatHandler(FloatOp op, ptx::ScalarType type, Rounding rounding, bool ftz);
Handler halfHandler(FloatOp op, ptx::ScalarType type);
Handler compareHandler(CompareOp op, ptx::ScalarType type);
Handler setHandler(CompareOp op, ptx::ScalarType type, ptx::ScalarType result);
Handler selectHandler(ptx::ScalarType type);
Handler selectBySignHandler(ptx::ScalarType type, ptx::ScalarType sign);
Handler convertHandler(ptx::ScalarType to, ptx::ScalarType from, Rounding rounding, bool integral);
Handler convertPlainHandler(ptx::ScalarType to, ptx::ScalarType from, Rounding rounding);
Handler convertPackHandler(ptx::ScalarType to, Rounding rounding);
Handler convertFloat8Handler(ptx::ScalarType to, ptx::ScalarType from);
Handler mmaHandler(MmaKind kind, unsigned k, bool halfSums);
void warpgroupProduct(const ProductTile &tile);
void fillMoves(LaneHandlers &handlers);

const LaneHandlers *table() {
  static const LaneHandlers handlers = [] {
    LaneHandlers made{};
    made.integer = integerHandler;
    made.floating = floatHandler;
    made.half = halfHandler;
    made.compare = compareHandler;
    made.set = setHandler;
    made.select = selectHandler;
    made.selectBySign = selectBySignHandler;
    made.convert = convertHandler;
    made.convertPlain = convertPlainHandler;
    made.convertPack = convertPackHandler;
    made.convertFloat8 = convertFloat8Handler;
    made.mma = mmaHandler;
    made.product = warpgroupProduct;
    fillMoves(made);
    return made;
  }();
  return &handlers;
}

} // namespace attn::emulator::ATTN_LANES
