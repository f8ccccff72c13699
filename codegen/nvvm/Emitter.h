// The vocabulary of instructions in which kernels are written: one method an instruction, each making one operation of the
// `llvm` or `nvvm` dialect. Everything else in codegen is written in these words, so this header and its source are the
// only place that knows how an instruction is spelled in MLIR. Also the `Ops` of MathAlgorithms.h.
//
// Arithmetic methods take the operands' type (f32, f64, i32, i64); nothing here fuses or reorders.
#pragma once

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"

#include <array>

namespace attn::codegen {

/// As PTX spells an 8-bit float.
const char *spellFloat8(mlir::Type element);

/// Constants of one kernel, each once, at the head of its entry block.
class ConstantPool {
public:
  /// New constants go before `anchor`, which stands in the entry block before all generated code.
  explicit ConstantPool(mlir::Operation *anchor) : anchor(anchor) {}
  mlir::Value get(mlir::TypedAttr value);

private:
  mlir::Operation *anchor;
  llvm::DenseMap<mlir::Attribute, mlir::Value> values;
};

enum class Compare { Eq, Ne, Lt, Le, Gt, Ge, UnsignedLt, UnsignedLe, UnsignedGt, UnsignedGe };

class Emitter {
public:
  using Value = mlir::Value;

  Emitter(mlir::OpBuilder &builder, mlir::Location location, ConstantPool &pool)
      : builder(builder), location(location), pool(pool) {}

  mlir::OpBuilder &builder;
  mlir::Location location;
  ConstantPool &pool;

  //===--- Types and constants ---===//
  mlir::Type i1Type(), i16Type(), i32Type(), i64Type(), f32Type(), f64Type();
  mlir::Type globalPointer(), sharedPointer();
  /// Of type f32 or f64.
  Value real(mlir::Type type, double value);
  Value f32(double value), f64(double value), i32(std::int64_t value), i64(std::int64_t value), boolean(bool value);
  Value zero(mlir::Type type);
  static std::optional<std::int64_t> constantOf(Value value);

  //===--- Integers ---===//
  Value iadd(Value a, Value b), isub(Value a, Value b), imul(Value a, Value b);
  Value sdiv(Value a, Value b), srem(Value a, Value b), udiv(Value a, Value b), urem(Value a, Value b);
  Value iand(Value a, Value b), ior(Value a, Value b), ixor(Value a, Value b);
  Value shl(Value a, Value b), lshr(Value a, Value b), ashr(Value a, Value b);
  Value smin(Value a, Value b), smax(Value a, Value b), umin(Value a, Value b), umax(Value a, Value b);
  Value absolute(Value a), countOnes(Value a);
  Value icmp(Compare predicate, Value a, Value b);
  Value ieq(Value a, Value b) { return icmp(Compare::Eq, a, b); }

  //===--- Booleans ---===//
  Value land(Value a, Value b) { return iand(a, b); }
  Value lor(Value a, Value b) { return ior(a, b); }
  Value lnot(Value a) { return ixor(a, boolean(true)); }
  Value select(Value condition, Value a, Value b);

  //===--- Floats ---===//
  Value fadd(Value a, Value b), fsub(Value a, Value b), fmul(Value a, Value b), fdiv(Value a, Value b);
  Value fma(Value a, Value b, Value c);
  Value fneg(Value a), fabs(Value a), sqrt(Value a), floor(Value a), ceil(Value a), rint(Value a), truncate(Value a);
  /// IEEE minNum and maxNum: of a number and a NaN the number.
  Value fmin(Value a, Value b), fmax(Value a, Value b);
  /// A NaN operand gives NaN.
  Value minimum(Value a, Value b), maximum(Value a, Value b);
  /// Ordered comparisons: false with a NaN.
  Value fcmp(Compare predicate, Value a, Value b);
  Value flt(Value a, Value b) { return fcmp(Compare::Lt, a, b); }
  Value feq(Value a, Value b) { return fcmp(Compare::Eq, a, b); }
  Value unordered(Value a, Value b);
  /// Approximate instructions of the special function unit, f32, denormals flushed.
  Value ex2(Value a), rcp(Value a), rsqrtApprox(Value a), tanhApprox(Value a);

  //===--- Conversions ---===//
  Value asInt(Value a), asFloat(Value a), asLong(Value a), asDouble(Value a), bitcast(Value a, mlir::Type type);
  Value toInt(Value a), toLong(Value a), toFloat(Value a), toDouble(Value a), unsignedToFloat(Value a);
  Value widen(Value a), narrow(Value a), longToInt(Value a);
  Value signExtend(Value a, mlir::Type type), zeroExtend(Value a, mlir::Type type), truncateInt(Value a, mlir::Type type);
  /// Two f32 rounded to nearest even into one 32-bit register of `element` (f16 or bf16), `low` in the low half.
  Value pack(mlir::Type element, Value low, Value high);
  /// Half `part` of such a register as f32, or as it is.
  Value unpack(mlir::Type element, Value packed, int part);
  Value unpackRaw(mlir::Type element, Value packed, int part);
  /// Two raw 16-bit values into one register.
  Value packRaw(Value low, Value high);
  /// a·b + c of both halves of such registers.
  Value fmaPacked(mlir::Type element, Value a, Value b, Value c);
  /// A stored f16 or bf16 number, or the bits of an 8-bit float, as f32.
  Value extendHalf(Value a);
  Value decodeFloat8(Value bits, bool e5m2);
  /// Bytes 2·half and 2·half + 1 of a word of 8-bit floats as a register of two `to` (f16 or bf16); exact.
  Value widenFloat8(mlir::Type from, mlir::Type to, Value word, int half);
  /// The same where neither is NaN or infinite.
  Value widenFiniteFloat8(mlir::Type from, mlir::Type to, Value word, int half);
  /// The same by the instruction that newer targets have, to f16.
  Value convertFloat8(mlir::Type from, Value word, int half);
  /// Not 0 if one of the four numbers of a word is NaN or infinite.
  Value notFiniteFloat8(mlir::Type from, Value word);
  /// Two f32 rounded to nearest even into the lowest 16 bits; what is beyond the numbers of `element` becomes the largest.
  Value packFloat8(mlir::Type element, Value low, Value high);

  //===--- Memory ---===//
  /// `pointer` moved by a number of bytes, a value or a constant.
  Value offset(Value pointer, Value bytes);
  Value offset(Value pointer, std::int64_t bytes);
  /// A shared address as i32.
  Value addressOf(Value pointer);
  Value load(mlir::Type type, Value pointer, unsigned alignment);
  /// Of memory that no one writes while the kernel runs.
  Value loadInvariant(mlir::Type type, Value pointer, unsigned alignment);
  /// Global load of 8 to 64 bits that reads nothing and gives 0 where `predicate` is false. i8 and i16 come sign extended in i32.
  Value loadIf(Value predicate, mlir::Type type, Value pointer);
  void store(Value value, Value pointer, unsigned alignment);
  /// Registers (i32) as one vector access.
  llvm::SmallVector<Value> loadWords(Value pointer, int count);
  void storeWords(llvm::ArrayRef<Value> words, Value pointer);
  /// Two f64 as one access of 16 bytes.
  std::array<Value, 2> loadDoubles(Value pointer);
  /// Two f32 or two f64 as one access.
  void storePair(Value first, Value second, Value pointer);

  //===--- Warp and block ---===//
  Value threadIndex(), blockIndex(int dimension), gridSize(int dimension);
  /// Of 32 or 64 bits.
  Value shuffleXor(Value a, int distance);
  /// The value of lane `lane`.
  Value shuffleFrom(Value a, Value lane);
  /// Whether the condition holds in any lane of the warp, all of which are here.
  Value anyInWarp(Value condition);
  /// A bit a lane, likewise.
  Value ballot(Value condition);
  void barrier(), syncWarp();
  void trap();
  void trapUnless(Value condition);

  //===--- Tensor cores and asynchronous copies ---===//
  /// `count` 8x8 matrices of 16-bit elements; one i32 a matrix.
  llvm::SmallVector<Value> ldmatrix(Value pointer, int count, bool transposed);
  /// The same lanes' matrices to memory.
  void stmatrix(Value pointer, llvm::ArrayRef<Value> matrices);
  /// D = A·B + C of m16n8k16; `element` is f16 or bf16, registers of A and B are i32.
  llvm::SmallVector<Value> mma(mlir::Type element, llvm::ArrayRef<Value> a, llvm::ArrayRef<Value> b, llvm::ArrayRef<Value> c);
  /// Four f32 as 8-bit floats in a register, the first one lowest: to nearest even, at most the largest number. For targets that
  /// convert them by an instruction.
  Value packFloat8(mlir::Type element, llvm::ArrayRef<Value> four);
  /// Four of the eight bytes of `low` and `high`, by the digits of `selector`.
  Value permuteBytes(Value low, Value high, Value selector);
  /// The same of m16n8k32 on 8-bit floats, four a register.
  llvm::SmallVector<Value> mmaFloat8(mlir::Type left, mlir::Type right, llvm::ArrayRef<Value> a, llvm::ArrayRef<Value> b, llvm::ArrayRef<Value> c);
  /// The same of m16n8k8, operands i32 that hold numbers of tf32.
  llvm::SmallVector<Value> mmaTf32(llvm::ArrayRef<Value> a, llvm::ArrayRef<Value> b, llvm::ArrayRef<Value> c);
  /// The same of m16n8k8 on f64; not `tall` as four of m8n8k4.
  llvm::SmallVector<Value> mmaDouble(llvm::ArrayRef<Value> a, llvm::ArrayRef<Value> b, llvm::ArrayRef<Value> c, bool tall);
  /// An f32, or its bits, rounded to tf32: to nearest, ties away from 0.
  Value roundToTf32(Value a);
  /// 16 bytes, of which the first `bytes` are read and the rest zero; all if null.
  void copyAsync(Value shared, Value global, Value bytes);
  void commitCopies();
  void waitCopies(int pending);

  //===--- Barriers in shared memory, tensor maps, warpgroups (EmitterAsync.cpp) ---===//
  /// An 8-byte barrier whose phases complete after `count` arrivals and all bytes expected in them.
  void initBarrier(Value barrier, unsigned count);
  void fenceBarrierInit();
  /// Arrives, and expects copies of that many bytes in this phase.
  void arriveExpecting(Value barrier, std::int64_t bytes);
  void arriveAtBarrier(Value barrier);
  void arriveAtBarrierIf(Value predicate, Value barrier);
  /// Arrives once the thread's copies so far have landed; counted in the barrier's arrivals.
  void arriveWhenCopied(Value barrier);
  /// Returns when the phase of that parity has completed.
  void waitForBarrier(Value barrier, Value parity);
  /// Starts the copy of a box; coordinates are those of its first element, the contiguous dimension first.
  void copyTensor(Value shared, Value tensorMap, llvm::ArrayRef<Value> coordinates, Value barrier);
  /// The other way. Done when `waitTensorStores` or the kernel ends; until then shared memory may not change.
  void storeTensor(Value shared, Value tensorMap, llvm::ArrayRef<Value> coordinates);
  void commitTensorStores();
  /// Until the thread's committed stores have read shared memory.
  void waitTensorStores();
  void prefetchTensorMap(Value tensorMap);
  void setRegisters(unsigned count, bool increase);
  /// True in one lane of the warp.
  Value electLane();
  /// Barriers 1 to 15 of some of the block's warps.
  void syncNamedBarrier(Value number, unsigned threads);
  /// The same; whether `condition` holds in any of the threads.
  Value anyAtNamedBarrier(Value number, unsigned threads, Value condition);
  void arriveAtNamedBarrier(Value number, unsigned threads, Value predicate = Value());
  /// Makes writes to shared memory so far visible to tensor cores and bulk copies.
  void fenceAsyncShared();
  /// Inline assembly with side effects; `results` of several types come as a struct.
  llvm::SmallVector<Value> assembly(llvm::StringRef text, llvm::StringRef constraints, llvm::ArrayRef<Value> operands,
                                    llvm::ArrayRef<mlir::Type> results = {});

private:
  Value intrinsic(llvm::StringRef name, mlir::Type result, llvm::ArrayRef<Value> operands);
  Value pureAssembly(llvm::StringRef text, llvm::StringRef constraints, llvm::ArrayRef<Value> operands, mlir::Type result);
  Value narrowToFloat8(mlir::Type element, Value number);
  Value placeFloat8(Value word, int half);
  Value shuffle(Value a, Value lane, bool isXor);
};

} // namespace attn::codegen
