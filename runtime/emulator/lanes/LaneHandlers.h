// The table of lane loops of one instruction set. Each set compiles lanes/*.cpp with its own flags into its own namespace
// (ATTN_LANES); `laneHandlers` picks the best one this CPU has.
#pragma once

#include "runtime/emulator/Program.h"

namespace attn::emulator {

enum class IntegerOp : std::uint8_t {
  Add, AddSat, Sub, SubSat, MulLo, MulHi, MulWide, MadLo, MadHi, MadHiSat, MadWide, Mul24Lo, Mul24Hi, Mad24Lo, Mad24Hi,
  Div, Rem, Abs, Neg, Min, Max, MinRelu, MaxRelu, Sad, And, Or, Xor, Not, Cnot, Shl, Shr, ShfLeftClamp, ShfLeftWrap, ShfRightClamp,
  ShfRightWrap, Lop3, Bfe, Bfi, Bfind, BfindShift, BmskClamp, BmskWrap, SzextClamp, SzextWrap, Brev, Popc, Clz,
  Prmt, PrmtF4e, PrmtB4e, PrmtRc8, PrmtEcl, PrmtEcr, PrmtRc16, Dp4a, Dp2aLo, Dp2aHi,
  AddCc, Addc, AddcCc, SubCc, Subc, SubcCc, MadLoCc, MadHiCc, MadcLo, MadcHi, MadcLoCc, MadcHiCc,
};

enum class FloatOp : std::uint8_t {
  Add, Sub, Mul, Fma, Min, Max, Neg, Abs, Div, Reciprocal, Sqrt, Rsqrt, Exp2, Log2, Sin, Cos, Tanh, CopySign,
  DivApprox, ReciprocalCoarse, RsqrtCoarse, ///< forms that the ISA defines apart: div.approx, {rcp,rsqrt}.approx.ftz.f64
};

enum class Rounding : std::uint8_t { Nearest, Zero, Down, Up, NearestAway };

enum class CompareOp : std::uint8_t {
  Eq, Ne, Lt, Le, Gt, Ge, Lo, Ls, Hi, Hs, Equ, Neu, Ltu, Leu, Gtu, Geu, Num, Nan,
};

/// How a comparison joins its predicate operand: Inst::kind of setp and set, above the compare operation.
enum class Combine : std::uint8_t { None, And, Or, Xor };

enum class MmaKind : std::uint8_t { F16, BF16, TF32, Integer, Double, TallDouble, Float8 };

/// One wgmma.mma_async (lanes/Wgmma.cpp). Units are addresses of 16 bytes in shared memory.
struct ProductTile {
  const std::byte *shared = nullptr;
  const std::uint32_t *unitsA = nullptr; ///< null when A is in registers
  const std::uint32_t *unitsB = nullptr;
  const std::uint32_t *list = nullptr;   ///< slots of D, then of A
  unsigned columns = 0;
  ptx::ScalarType a = ptx::ScalarType::F16, b = ptx::ScalarType::F16; ///< of the factors
  bool transposeA = false, transposeB = false, negate = false, accumulate = false;
  LaneState *warps[4] = {}; ///< null: the rows of this warp are not formed now
};

/// Every function returns null when the combination does not exist.
struct LaneHandlers {
  /// `b` distinguishes the second operand's signedness of dp4a/dp2a; elsewhere it equals `type`.
  Handler (*integer)(IntegerOp op, ptx::ScalarType type, ptx::ScalarType b);
  Handler (*floating)(FloatOp op, ptx::ScalarType type, Rounding rounding, bool ftz);
  Handler (*half)(FloatOp op, ptx::ScalarType type);
  Handler (*compare)(CompareOp op, ptx::ScalarType type);
  Handler (*set)(CompareOp op, ptx::ScalarType type, ptx::ScalarType result);
  Handler (*select)(ptx::ScalarType type);
  Handler (*selectBySign)(ptx::ScalarType type, ptx::ScalarType sign);
  /// `integral`: round to an integer value (the rni, rzi, rmi, rpi forms).
  Handler (*convert)(ptx::ScalarType to, ptx::ScalarType from, Rounding rounding, bool integral);
  /// The fast form of a conversion without modifiers, where there is one.
  Handler (*convertPlain)(ptx::ScalarType to, ptx::ScalarType from, Rounding rounding);
  Handler (*convertPack)(ptx::ScalarType to, Rounding rounding);
  /// Between pairs of e4m3 or e5m2 and two f32 or an f16x2.
  Handler (*convertFloat8)(ptx::ScalarType to, ptx::ScalarType from);
  /// `halfSums`: the form with f16 accumulators.
  Handler (*mma)(MmaKind kind, unsigned k, bool halfSums);
  void (*product)(const ProductTile &tile);
  Handler move32, move64, pack16, unpack16, pack64, unpack64, pack16x4, unpack16x4;
};

/// The best handlers for this CPU.
const LaneHandlers &laneHandlers();
/// `baseline`, `v3` (AVX2, FMA), `v4` (AVX-512); null when this CPU or build lacks it.
const LaneHandlers *laneHandlers(const char *name);
/// Uses another set from now on, for modules that are parsed and run afterwards; false when there is none of that name.
/// For tests: the sets compute the same. Not while anything is being parsed or run.
bool useLaneHandlers(const char *name);

} // namespace attn::emulator
