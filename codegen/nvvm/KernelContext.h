// What the lowering of one kernel shares: its threads, what every thread computes once at entry, and the views in which
// values of `tile` types are seen after conversion (one LLVM value a register).
//
//   !tile.tensor  stays a value, made at entry by an unrealized cast of its pointer, strides and sizes (TensorView)
//   !tile.frag    its registers, in the order of Fragments.h; 16-bit elements two in an i32, 8-bit ones two in its lower half
//   !tile.inflight  the same, which a wait hands over
//   !tile.buffer, !tile.ring   i32: bytes from the start of the kernel's shared memory
#pragma once

#include "codegen/arch/Fragments.h"
#include "codegen/nvvm/Emitter.h"
#include "codegen/nvvm/Roles.h"
#include "ir/tile/TileDialect.h"

#include "mlir/IR/Operation.h"
#include "mlir/IR/ValueRange.h"
#include "llvm/ADT/DenseSet.h"

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace mlir {
class TypeConverter;
}

namespace attn::codegen {

/// Where a lane of an access to shared memory points, relative to the constant part of the address.
enum class LanePattern {
  MatrixRows,       ///< ldmatrix: row lane % 16, 16-byte chunk lane / 16
  MatrixRowsOfWarp, ///< the same in the warp's own 16 rows
  MatrixColumns,    ///< ldmatrix: row lane % 8 + 8 (lane / 16), chunk lane / 8 % 2
  DiagonalRows,     ///< MatrixRows, 16 rows further up for each warp (DiagonalDot.cpp)
  DiagonalColumns,  ///< MatrixColumns, likewise
  DiagonalQuadRows, ///< EvenQuadRows, likewise
  Pairs,            ///< acc layout, 16-bit elements: row 16w + g, byte 4t
  WidePairs,        ///< acc layout, 32-bit elements: row 16w + g, byte 8t
  LongPairs,        ///< acc layout, 64-bit elements: row 16w + g, byte 16t
  GroupRowPairs,    ///< row g, byte 8t
  GroupRowLongPairs, ///< row g, byte 16t
  QuadRows,         ///< row t, byte 4g
  EvenQuadRows,     ///< row 2t, byte 4g
  EvenQuadRowsLong, ///< row 2t, byte 8g
};

/// What a tensor consists of.
struct TensorView {
  tile::TileTensorType type;
  mlir::Value pointer;
  llvm::SmallVector<mlir::Value> strides; ///< of all dimensions but the last, i64, in elements (bits: in 32-bit words)
  llvm::SmallVector<mlir::Value> sizes;   ///< i32

  /// Looks through the cast that `makeTensor` built.
  static TensorView of(mlir::Value tensor);
  /// The value of a tensor type made of these.
  static mlir::Value makeTensor(mlir::OpBuilder &builder, mlir::Location location, const TensorView &view);
  unsigned elementBits() const;
};

class KernelContext {
public:
  /// `warps` are the block's. `constantAnchor` and then `entryAnchor` stand at the head of the entry block; constants and entry values go before them.
  KernelContext(mlir::Operation *constantAnchor, mlir::Operation *entryAnchor, mlir::Value sharedBase, unsigned warps);

  Emitter emitter(mlir::OpBuilder &builder, mlir::Location location) { return Emitter(builder, location, constants); }

  mlir::MLIRContext *anchorContext() const { return entryAnchor->getContext(); }

  /// The warps whose code is being emitted: the block's, until `enter` says otherwise. All thread coordinates below are
  /// counted within them.
  const WarpRange &range() const { return current; }
  unsigned warps() const { return current.count; }
  unsigned threads() const { return current.threads(); }
  void enter(const WarpRange &warps) { current = warps; }
  /// Enters the role of an operation, in kernels that have roles.
  void enter(mlir::Operation *op);

  /// Into how many parts the kernel's fragments cut their columns; the warps of a part have all rows.
  void setParts(unsigned count) { partCount = count; }
  unsigned parts() const { return partCount; }
  unsigned rowWarps() const { return current.count / partCount; }

  /// Of kernels with roles.
  void setRoles(RoleFacts facts) { roleFacts = std::move(facts); }
  bool hasRoles() const { return roleFacts.has_value(); }
  const RoleFacts &roles() const { return *roleFacts; }
  /// Whether products of f32 operands round them to tf32.
  void setRoundsToTf32(bool value) { toTf32 = value; }
  /// Whether the target has instructions that convert 8-bit floats.
  void setConvertsFloat8(bool value) { float8Instructions = value; }
  bool convertsFloat8() const { return float8Instructions; }
  bool roundsToTf32() const { return toTf32; }
  /// Whether products of f64 come 16 rows at a time, or 8.
  void setHasTallDoubleProducts(bool value) { tallDoubleProducts = value; }
  bool hasTallDoubleProducts() const { return tallDoubleProducts; }
  /// Says where the values that the current role computes once go: behind its change of registers.
  void setAnchor(mlir::Operation *anchor);

  /// The kernel's positions, collected before conversion takes the code apart (ElementExpander.h).
  void setPositions(llvm::DenseSet<mlir::Value> values) { positions = std::move(values); }
  bool isPosition(mlir::Value value) const { return positions.contains(value); }

  /// Thread coordinates, computed at entry: thread index, lane, warp, g = lane / 4, t = lane % 4.
  mlir::Value thread(), lane(), warp(), group(), quadLane();
  /// The warp as a value that the whole warp agrees on, and its warpgroup.
  mlir::Value uniformWarp(), warpgroup();
  /// The part that the warp's columns are of, as a value that the whole warp agrees on (0 where there is one), and the warp
  /// among those of its part.
  mlir::Value part(), rowWarp(), uniformRowWarp();
  /// The part of a form that depends on the thread; null when there is none.
  mlir::Value threadPart(const ThreadForm &form);
  /// A value computed once, at entry of the kernel or of the current role; `make` must depend on nothing but the key.
  mlir::Value atEntry(const std::string &key, const std::function<mlir::Value(Emitter &)> &make);

  /// The start of shared memory.
  mlir::Value sharedBase() const { return shared; }
  mlir::Value sharedPointer(Emitter &e, mlir::Value bufferOffset, std::int64_t bytes = 0);
  /// Address of (lane's row + row, lane's chunk + chunk) of a 2-D buffer. `row` is a multiple of 8, unless rows are plain; `chunk`, in 16 bytes, is
  /// even unless the pattern's lanes stay within one chunk.
  mlir::Value sharedPointer(Emitter &e, tile::BufferType type, mlir::Value bufferOffset, LanePattern pattern, int row, int chunk);
  /// Byte offset within a buffer of an element at a computed place.
  mlir::Value elementOffset(Emitter &e, tile::BufferType type, llvm::ArrayRef<mlir::Value> indices);
  /// `bufferOffset` moved to where the warp's part of a fragment begins: `count` columns (rows) a part, whole panels (whole
  /// periods of the swizzle).
  mlir::Value atColumnsOfPart(Emitter &e, tile::BufferType type, mlir::Value bufferOffset, std::int64_t count);
  mlir::Value atRowsOfPart(Emitter &e, tile::BufferType type, mlir::Value bufferOffset, std::int64_t count);

private:
  mlir::Value atPart(Emitter &e, mlir::Value bufferOffset, std::int64_t bytes);
  mlir::Value lanePointer(tile::BufferType type, LanePattern pattern, int exchangedChunk);

  ConstantPool constants;
  mlir::Operation *entryAnchor; ///< of the kernel
  mlir::Value shared;
  WarpRange current;
  unsigned partCount = 1;
  std::optional<RoleFacts> roleFacts;
  bool toTf32 = false, float8Instructions = false, tallDoubleProducts = false;
  std::map<std::string, mlir::Value> entryValues;
  llvm::DenseSet<mlir::Value> positions;
};

/// The register map of a fragment type; types reach the lowering verified by `checkFragments`.
Fragment fragmentOf(tile::FragType type);
/// Why the type cannot be lowered, or nothing.
std::optional<std::string> whyNotLowerable(tile::FragType type);
/// The type of one register.
mlir::Type registerType(tile::FragType type);
bool isSmallFloat(mlir::Type type);
/// e4m3 or e5m2.
bool isFloat8(mlir::Type type);

/// Adds the conversions at the head of this file.
void addTileTypeConversions(mlir::TypeConverter &converter);

} // namespace attn::codegen
