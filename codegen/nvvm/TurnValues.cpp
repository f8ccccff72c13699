// Tensor cores take 8-bit floats with the depth of a product along the rows of both operands, so values with their keys there.
//
// A warp takes 16 channels of 32 keys at a time. `ldmatrix` transposes pairs of bytes: of matrix i, keys 8i … 8i + 7, lane 4g + t
// gets channels 2g and 2g + 1 of keys 8i + 2t and 8i + 2t + 1. Two `prmt` part the channels of two matrices, and
// `stmatrix` writes 16 keys of a channel as a chunk of 16 bytes, in the order
//
//     place 4t + 2b + c  <-  key 8b + 2t + c        t = 0 … 3;  b, c = 0, 1
//
// which is the one that probs have in the registers of a thread (`lhs` of 8 bits, Fragments.h): none is exchanged between threads.
// Lanes with g < 4 have the even channel in the first matrices and the odd one in the others, lanes with g > 3 the other way
// round: the eight rows of a matrix then meet all banks, where even channels alone would meet half of them twice.
#include "codegen/nvvm/TurnValues.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace attn::codegen {

using mlir::Value;

static constexpr int kKeys = 32, kChannels = 16;

bool isTurned(tile::BufferType from, tile::BufferType to) { return from.getElementType() == to.getElementType(); }

namespace {
class Turning {
public:
  Turning(KernelContext &kernel, Emitter &e, tile::BufferType from, Value source, tile::BufferType to, Value target)
      : kernel(kernel), e(e), from(from), to(to), source(source), target(target) {}

  void emit() {
    int pieces = static_cast<int>(to.getShape()[1]) / kKeys, all = pieces * (static_cast<int>(to.getShape()[0]) / kChannels);
    int warps = static_cast<int>(kernel.threads()) / 32;
    Value warp = kernel.uniformWarp();
    for (int first = 0; first < all; first += warps) {
      Value number = e.iadd(warp, e.i32(first));
      if (first + warps <= all) {
        turn(number, pieces);
        continue;
      }
      auto guard = mlir::scf::IfOp::create(e.builder, e.location, e.icmp(Compare::Lt, number, e.i32(all)), /*withElseRegion=*/false);
      mlir::OpBuilder::InsertionGuard restore(e.builder);
      e.builder.setInsertionPointToStart(guard.thenBlock());
      turn(number, pieces);
    }
  }

private:
  void turn(Value number, int pieces) {
    Value firstKey = e.imul(e.urem(number, e.i32(pieces)), e.i32(kKeys));
    Value firstChannel = e.imul(e.udiv(number, e.i32(pieces)), e.i32(kChannels));
    Value lane = kernel.lane();
    Value from32 = kernel.elementOffset(e, from, {e.iadd(firstKey, lane), firstChannel});
    llvm::SmallVector<Value> keys = e.ldmatrix(kernel.sharedPointer(e, e.iadd(source, from32)), 4, /*transposed=*/true);
    Value isUpper = kernel.atEntry("turn upper", [&](Emitter &entry) { return entry.iand(entry.lshr(lane, entry.i32(4)), entry.i32(1)); });
    auto selector = [&](const char *name, bool isSecond) {
      return kernel.atEntry(name, [&](Emitter &entry) { // even bytes 0x6420, odd ones 0x7531
        Value isOdd = isSecond ? entry.ixor(isUpper, entry.i32(1)) : isUpper;
        return entry.iadd(entry.imul(isOdd, entry.i32(0x1111)), entry.i32(0x6420));
      });
    };
    Value first = selector("turn first", false), second = selector("turn second", true);
    llvm::SmallVector<Value> turned;
    for (Value channels : {first, second})
      for (int half : {0, 2})
        turned.push_back(e.permuteBytes(keys[half], keys[half + 1], channels));
    e.stmatrix(kernel.sharedPointer(e, e.iadd(target, placeOfRow(firstKey, firstChannel))), turned);
  }

  /// Where the lane's row of the matrices goes: row r = lane % 8 of matrix m = lane / 8.
  Value placeOfRow(Value firstKey, Value firstChannel) {
    Value lane = kernel.lane();
    Value channel = kernel.atEntry("turn channel", [&](Emitter &entry) { // 2r + (m / 2 xor r / 4)
      Value row = entry.iand(lane, entry.i32(7)), isSecond = entry.lshr(lane, entry.i32(4));
      return entry.iadd(entry.imul(row, entry.i32(2)), entry.ixor(isSecond, entry.lshr(row, entry.i32(2))));
    });
    Value key = kernel.atEntry("turn key", [&](Emitter &entry) { // 16 (m % 2)
      return entry.imul(entry.iand(entry.lshr(lane, entry.i32(3)), entry.i32(1)), entry.i32(16));
    });
    return kernel.elementOffset(e, to, {e.iadd(firstChannel, channel), e.iadd(firstKey, key)});
  }

  KernelContext &kernel;
  Emitter &e;
  tile::BufferType from, to;
  Value source, target;
};
} // namespace

void turnValues(KernelContext &kernel, Emitter &e, tile::BufferType from, Value source, tile::BufferType to, Value target) {
  Turning(kernel, e, from, source, to, target).emit();
}

} // namespace attn::codegen
