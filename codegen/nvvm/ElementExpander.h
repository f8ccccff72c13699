// The expander of element regions (dialects.md, 3.3): a region over one element is evaluated at every place where a thread
// holds one, each operation once for the part of the place it depends on.
//
// A place is (row slot, column slot). Every value has a *domain*: uniform, row, column or point, the union over what it is
// computed from; it is evaluated once, once a row slot, once a column slot or once a place, on demand and in the order of
// demand, so live ranges stay short.
//
// i32 values are *forms*: Σ coefficient · base + constant. A position is a base that depends on the thread alone plus a
// constant of the slot, so additions change constants, and a comparison of two positions is one base difference for the
// whole tile against an immediate: causal is one compare and one select an element.
#pragma once

#include "codegen/nvvm/KernelContext.h"

#include "ir/tile/RandomOps.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

#include <array>
#include <functional>
#include <map>
#include <tuple>
#include <vector>

namespace mlir {
class ConversionPatternRewriter;
namespace arith {
class DivFOp;
}
} // namespace mlir

namespace attn::codegen {

struct Slot {
  int row = 0;
  int column = 0;
};

/// Σ coefficient · base + constant, modulo 2^32.
struct IntegerForm {
  std::vector<std::pair<mlir::Value, std::int64_t>> terms; ///< in the order in which they were added, no zero coefficients
  std::int64_t constant = 0;
  bool isPosition = true; ///< known to lie within ±2^29: made of indices, sizes and small constants

  bool isConstant() const { return terms.empty(); }
  static IntegerForm of(std::int64_t constant);
  static IntegerForm of(mlir::Value base, bool isPosition);
  IntegerForm plus(const IntegerForm &other, std::int64_t factor) const;
  IntegerForm times(std::int64_t factor) const;
};

class ElementExpander {
public:
  enum Domain : unsigned { Uniform = 0, Row = 1, Column = 2, Point = 3 };

  /// `region` null: for operations outside regions, all of whose operands are uniform.
  ElementExpander(KernelContext &kernel, Emitter &e, mlir::ConversionPatternRewriter &rewriter, mlir::Region *region);

  /// Says what a block argument, `tile.row` or `tile.col` is at a slot.
  void bindFragment(mlir::Value argument, tile::FragType type, mlir::ValueRange registers);
  void bindIndex(mlir::Value argument, Domain domain, std::function<IntegerForm(Slot)> form);
  /// `tile.row` and `tile.col` of the region.
  void bindPositions(std::function<ThreadForm(int)> row, std::function<ThreadForm(int)> column);
  IntegerForm threadForm(const ThreadForm &form);

  /// The value at a slot. Null after a diagnostic if it cannot be computed.
  mlir::Value evaluate(mlir::Value value, Slot slot);
  /// The value of an i32 at a slot.
  IntegerForm evaluateForm(mlir::Value value, Slot slot);
  mlir::Value materialize(const IntegerForm &form);
  Domain domainOf(mlir::Value value);
  /// Each `cf.assert` of the region, as one trap for all slots of `fragment`.
  void lowerChecks(const Fragment &fragment);
  /// The value of a load that stands outside regions.
  mlir::Value loadOutsideRegions(tile::ParamOp op) { return computeParam(op, {}); }
  bool failed() const { return hasFailed; }

private:
  using Key = std::tuple<const void *, int, int>;
  using RandomWords = std::array<mlir::Value, 4>;
  struct FragmentBinding {
    tile::FragType type;
    Fragment fragment;
    llvm::SmallVector<mlir::Value> registers;
  };
  struct IndexBinding {
    Domain domain;
    std::function<IntegerForm(Slot)> form;
  };

  Key keyOf(mlir::Value value, Slot slot);
  bool isCaptured(mlir::Value value) const;
  mlir::Value compute(mlir::Value value, Slot slot);
  IntegerForm computeForm(mlir::Value value, Slot slot);
  mlir::Value computeElement(const FragmentBinding &binding, Slot slot);
  mlir::Value computeFused(mlir::Operation *op, Slot slot);
  mlir::Value computeCompare(mlir::Operation *op, Slot slot);
  mlir::Value computeConjunction(mlir::Operation *op, Slot slot);
  mlir::Value computeFloatOfInteger(mlir::Operation *op, Slot slot);
  mlir::Value computeParam(tile::ParamOp op, Slot slot);
  mlir::Value computeAt(tile::AtOp op, Slot slot);
  mlir::Value computeOfQuad(tile::AtOp op, IntegerForm place, Slot slot);
  mlir::Value computeLookup(tile::LookupOp op, Slot slot);
  mlir::Value computeReciprocal(mlir::arith::DivFOp op, Slot slot);
  mlir::Value computeRandom(tile::RandomOp op, Slot slot);
  RandomWords generateRandom(tile::RandomOp op, Slot first);
  mlir::Value paramPointer(const TensorView &view, llvm::ArrayRef<IntegerForm> indices, std::int64_t &constantBytes);
  mlir::Value baseOf(const IntegerForm &form);
  mlir::Value clampToPositions(mlir::Value value);
  mlir::Value fail(mlir::Operation *op, const llvm::Twine &message);

  KernelContext &kernel;
  Emitter &e;
  mlir::ConversionPatternRewriter &rewriter;
  mlir::Region *region;
  bool hasFailed = false;
  llvm::DenseMap<mlir::Value, FragmentBinding> fragments;
  llvm::DenseMap<mlir::Value, IndexBinding> indices;
  IndexBinding rowBinding, columnBinding;
  int columnSlots = 0; ///< of the bound fragments
  llvm::DenseMap<mlir::Value, Domain> domains;
  std::map<Key, mlir::Value> values;
  std::map<Key, IntegerForm> forms;
  std::map<std::vector<std::pair<const void *, std::int64_t>>, mlir::Value> bases, sums;
  std::map<std::vector<const void *>, mlir::Value> pointers;
  std::map<std::tuple<const void *, const void *, std::int64_t>, mlir::Value> loads;
  std::map<Key, RandomWords> randoms; ///< by operation, row slot and pair of column tiles
  std::map<Key, llvm::SmallVector<mlir::Value>> quads; ///< by operation, slab and column tile
  llvm::DenseMap<mlir::Value, mlir::Value> floatBases, clamped;
};

/// The i32 values below `root` that are made of indices, sizes and small constants only, so that they stay far from overflow.
llvm::DenseSet<mlir::Value> collectPositions(mlir::Operation *root);

} // namespace attn::codegen
