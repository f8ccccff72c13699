// Handlers that need more than lanes: memory, other warps, control. They take the warp through `warpOf`.
#pragma once

#include "runtime/emulator/Program.h"

namespace attn::emulator {

class Warp;

/// Inst::flags of the families below; the low 16 bits are InstFlag.
inline constexpr std::uint32_t kWideAddress = 1 << 16; ///< the address register has 64 bits
inline constexpr std::uint32_t kNoResult = 1 << 17; ///< red
inline constexpr std::uint32_t kTranspose = 1 << 18; ///< ldmatrix.trans
inline constexpr std::uint32_t kWideData = 1 << 19;
inline constexpr std::uint32_t kHasSourceSize = 1 << 20; ///< cp.async with a source size
inline constexpr std::uint32_t kHasIgnore = 1 << 21; ///< cp.async with an ignore-src predicate
inline constexpr std::uint32_t kArriveOnly = 1 << 22; ///< bar.arrive
inline constexpr std::uint32_t kHasCount = 1 << 23; ///< a barrier with a thread count
inline constexpr std::uint32_t kToSpace = 1 << 24; ///< cvta.to
inline constexpr std::uint32_t kParity = 1 << 25; ///< a wait names a phase by its parity
inline constexpr std::uint32_t kMayBlock = 1 << 26; ///< try_wait
inline constexpr std::uint32_t kNoIncrement = 1 << 27; ///< cp.async.mbarrier.arrive.noinc
inline constexpr std::uint32_t kWideBarrier = 1 << 28; ///< the barrier's address register has 64 bits
inline constexpr std::uint32_t kReadOnly = 1 << 29; ///< cp.async.bulk.wait_group.read

enum class AtomicOp : std::uint8_t { Add, Min, Max, Inc, Dec, And, Or, Xor, Exch, Cas, AddFloat, AddHalf, AddBrain };
enum class ShuffleMode : std::uint8_t { Up, Down, Bfly, Idx };
enum class VoteMode : std::uint8_t { All, Any, Uni, Ballot };
enum class ClockKind : std::uint8_t { Low, High, Wide };

// LoadStore.cpp. Address in `a` (+ imm), data in d or list.
void loadHandler(LaneState &, const Inst &);
void storeHandler(LaneState &, const Inst &);
void atomicHandler(LaneState &, const Inst &); ///< Atomics.cpp; kind: AtomicOp, count: signedness (1 signed)
void loadMatrixHandler(LaneState &, const Inst &);

// AsyncCopy.cpp
void asyncCopyHandler(LaneState &, const Inst &);
void asyncCommitHandler(LaneState &, const Inst &);
void asyncWaitHandler(LaneState &, const Inst &); ///< imm: groups that may stay pending; -1: wait_all

// WarpOperations.cpp
void shuffleHandler(LaneState &, const Inst &);   ///< a value, b lane, c clamp, list[0] member mask; p0 in-range
void voteHandler(LaneState &, const Inst &);
void matchAnyHandler(LaneState &, const Inst &);
void matchAllHandler(LaneState &, const Inst &);
void warpReduceHandler(LaneState &, const Inst &); ///< kind: AtomicOp
void activeMaskHandler(LaneState &, const Inst &);
void warpBarrierHandler(LaneState &, const Inst &);
void moveMatrixHandler(LaneState &, const Inst &);

// Barriers.cpp. a id, b count; p1 predicate of a reduction; kind: NamedBarrier::Use
void barrierHandler(LaneState &, const Inst &);
void fenceHandler(LaneState &, const Inst &); ///< kind: FenceKind

// Mbarrier.cpp. Address in a; b: count, bytes, parity or state; d or p0: result; kind: MbarrierOp
enum class MbarrierOp : std::uint8_t { Init, Invalidate, Arrive, ArriveDrop, ExpectBytes, ArriveExpectBytes, CompleteBytes };
void mbarrierHandler(LaneState &, const Inst &);
void mbarrierWaitHandler(LaneState &, const Inst &);
void mbarrierPendingHandler(LaneState &, const Inst &);
void copyArrivalHandler(LaneState &, const Inst &);

// Tma.cpp. a shared address, b address of the tensor map, c barrier (imm, target: displacements of a and c); list:
// coordinates, `count` of them; kind: Transfer::Kind
void tensorCopyHandler(LaneState &, const Inst &);
void tensorPrefetchHandler(LaneState &, const Inst &);
void mapPrefetchHandler(LaneState &, const Inst &);
void bulkCommitHandler(LaneState &, const Inst &);
void bulkWaitHandler(LaneState &, const Inst &); ///< imm: groups that may stay pending

// Wgmma.cpp. list: D (4 · count registers), then A unless it is in shared memory; a, b descriptors; p1 scale-d;
// kind: kProduct… bits; space, bytes: ptx::ScalarType of A and of B
inline constexpr std::uint8_t kProductRegisterA = 2, kProductTransposeA = 4, kProductTransposeB = 8,
                              kProductNegateA = 16, kProductNegateB = 32;
void productHandler(LaneState &, const Inst &);
void productFenceHandler(LaneState &, const Inst &);
void productCommitHandler(LaneState &, const Inst &);
void productWaitHandler(LaneState &, const Inst &); ///< imm: groups that may stay pending

// WarpgroupOperations.cpp
void storeMatrixHandler(LaneState &, const Inst &);
void electHandler(LaneState &, const Inst &); ///< a member mask, d lane, p0 elected
void maxRegistersHandler(LaneState &, const Inst &);

// AsyncCopy.cpp
/// Moves the bytes of all cp.async of these lanes.
void finishCopies(Warp &warp, std::uint32_t lanes);

// Control.cpp
void alignedMmaHandler(LaneState &, const Inst &); ///< checks alignment, then runs Inst::inner
void branchHandler(LaneState &, const Inst &);
void branchIndexedHandler(LaneState &, const Inst &);
void exitHandler(LaneState &, const Inst &);
void trapHandler(LaneState &, const Inst &);
void nothingHandler(LaneState &, const Inst &);
void clockHandler(LaneState &, const Inst &);
void predicateLogicHandler(LaneState &, const Inst &); ///< kind: 0 and, 1 or, 2 xor, 3 not, 4 mov
void predicateConstantHandler(LaneState &, const Inst &);
void floatTestHandler(LaneState &, const Inst &);
void isSpaceHandler(LaneState &, const Inst &);
void addressConvertHandler(LaneState &, const Inst &); ///< imm: the window's start
void printHandler(LaneState &, const Inst &);
void assertFailHandler(LaneState &, const Inst &);

} // namespace attn::emulator
