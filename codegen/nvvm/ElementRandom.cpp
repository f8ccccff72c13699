// Random numbers in element regions: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
//
// A counter gives the words of four keys in a row. In an accumulator these are the columns of two lanes:
//
//   columns of tile 2i   0 1 | 2 3 | 4 5 | 6 7        tile 2i + 1   8 9 | 10 11 | 12 13 | 14 15
//   lane of the quad     t=0 | t=1 | t=2 | t=3                      t=0 |  t=1  |  t=2  |  t=3
//   counter                 c     |   c + 1                            c + 2    |    c + 3
//
// So of two tiles an even lane computes the counter of the first, its odd neighbour that of the second, and each sends the
// other the two words that it needs: one generation for four elements.
#include "codegen/nvvm/ElementExpander.h"

#include "mlir/Transforms/DialectConversion.h"

#include <array>

namespace attn::codegen {

using mlir::Value;

using Words = std::array<Value, 4>;

static constexpr int kRounds = 10;
static constexpr std::uint32_t kMultipliers[2] = {0xD2511F53, 0xCD9E8D57}; ///< of words 0 and 2
static constexpr std::uint32_t kKeySteps[2] = {0x9E3779B9, 0xBB67AE85};

/// The constant's 32 bits.
static Value bits(Emitter &e, std::uint32_t number) { return e.i32(static_cast<std::int32_t>(number)); }

/// Low and high half of a 64-bit product.
static std::pair<Value, Value> multiplyWide(Emitter &e, Value a, std::uint32_t factor) {
  Value product = e.imul(e.zeroExtend(a, e.i64Type()), e.i64(factor));
  return {e.truncateInt(product, e.i32Type()), e.truncateInt(e.lshr(product, e.i64(32)), e.i32Type())};
}

static Words philox(Emitter &e, Words counter, std::array<Value, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    auto [low0, high0] = multiplyWide(e, counter[0], kMultipliers[0]);
    auto [low2, high2] = multiplyWide(e, counter[2], kMultipliers[1]);
    counter = {e.ixor(e.ixor(high2, counter[1]), key[0]), low2, e.ixor(e.ixor(high0, counter[3]), key[1]), low0};
    for (int i : {0, 1})
      key[i] = e.iadd(key[i], bits(e, kKeySteps[i]));
  }
  return counter;
}

/// A key of its own for each counter: else the keys of all rounds, equal for all counters, would be kept in registers from
/// one to the next, twenty of them.
static Value ownKey(Emitter &e, Value key) {
  return Emitter::constantOf(key) ? key : e.assembly("mov.b32 $0, $1;", "=r,r", {key}, {e.i32Type()})[0];
}

/// The words of this lane's columns in tiles 2i and 2i + 1, tile by tile.
ElementExpander::RandomWords ElementExpander::generateRandom(tile::RandomOp op, Slot first) {
  Value seed = evaluate(op.getSeed(), first), offset = evaluate(op.getOffset(), first);
  Value query = evaluate(op.getQuery(), first), head = evaluate(op.getHead(), first);
  Value key = evaluate(op.getKey(), first);
  if (hasFailed)
    return {};
  Value odd = e.iand(kernel.quadLane(), e.i32(1)), isOdd = e.icmp(Compare::Ne, odd, e.i32(0));
  Value group = e.iadd(e.lshr(key, e.i32(2)), e.shl(odd, e.i32(1)));
  Words words = philox(e, {query, group, head, e.i32(0)}, {ownKey(e, seed), ownKey(e, offset)});
  RandomWords result;
  for (int part : {0, 1}) {
    Value own = e.select(isOdd, words[2 + part], words[part]);
    Value received = e.shuffleXor(e.select(isOdd, words[part], words[2 + part]), 1);
    result[part] = e.select(isOdd, received, own);
    result[2 + part] = e.select(isOdd, own, received);
  }
  return result;
}

Value ElementExpander::computeRandom(tile::RandomOp op, Slot slot) {
  int pair = slot.column / 4;
  auto [found, isNew] = randoms.try_emplace({op.getOperation(), slot.row, pair});
  if (isNew)
    found->second = generateRandom(op, {slot.row, 4 * pair});
  if (hasFailed)
    return Value();
  Value word = found->second[slot.column % 4];
  return e.fmul(e.unsignedToFloat(e.lshr(word, e.i32(8))), e.f32(0x1p-24));
}

} // namespace attn::codegen
