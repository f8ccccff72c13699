// Region `score` cut into its parts: the products of features, which are matrix products of tiles, the uniform summand and
// positive factor at its root, which the softmax step does without or applies, and the scalar mathematics between the two. Direct weights keep the
// factor: nothing applies it later.
#pragma once

#include "passes/RelativeRows.h"
#include "passes/convert/ElementScope.h"

namespace attn {

class ScorePlan {
public:
  /// Finds the parts; fails with a message at a product that is not one of tiles.
  mlir::LogicalResult analyse(ir::OnlineAttentionOp op, KernelScope &kernel, mlir::func::FuncOp plan);

  /// The score without the factor at its root, or the weight.
  mlir::Value root() const { return inner; }
  /// Of direct weights, what sums are divided by the sum of, where it is not the weight itself; else null.
  mlir::Value by() const { return divisor; }
  /// The factor, an f32 > 0; null after a message.
  mlir::Value scale(KernelScope &kernel);
  /// What the score has beyond root · factor, the same for all points: the softmax does without it. Null if nothing.
  mlir::Value shift(KernelScope &kernel) { return summand ? kernel.uniform(summand) : mlir::Value(); }
  /// Terms of query rows alone and operands that do not change with the block; before the loop.
  mlir::LogicalResult writeQueryTerms(KernelScope &kernel, mlir::OpBuilder &builder, mlir::ValueRange queryOperands,
                                      mlir::Value firstRow, int64_t rows);
  /// The products for one block of keys, by the values of the region that they stand for.
  mlir::FailureOr<FragmentMap> writeProducts(KernelScope &kernel, mlir::OpBuilder &builder,
                                             mlir::ValueRange queryOperands, mlir::ValueRange keyOperands,
                                             mlir::Value firstKey, mlir::Value zero);

  /// Puts checks of reads that diagonals made where the points are that they count for; `checked` writes one.
  mlir::LogicalResult checkDiagonals(FragmentMap &results, llvm::function_ref<mlir::Value(mlir::Value, llvm::ArrayRef<ir::LoadOp>)> checked) const;

  /// Products with rows of tables that points choose; written by `writeQueryTerms`.
  const LookupReads &lookups() const { return tables.reads(); }

private:
  enum class Form { Tiles, QueryTerm, RowsTimesKeys, QueryTimesRows, Lookup, RelativeToQuery, RelativeToKey };
  struct Product {
    mlir::Value result;      ///< of the `attn.dot`
    Form form;
    unsigned queryFeature = 0, keyFeature = 0;
    mlir::Value rows;        ///< the vector that is no feature
    mlir::Value invariant;   ///< written before the loop: the term, or the operand made of `rows`
    RelativeRow relative;    ///< of products with rows that diagonals choose
  };
  static bool isRelative(const Product &product) { return product.form == Form::RelativeToQuery || product.form == Form::RelativeToKey; }
  mlir::LogicalResult classify(ir::DotOp dot, KernelScope &kernel);
  mlir::LogicalResult writeRelative(const Product &product, KernelScope &kernel, mlir::OpBuilder &builder, mlir::Value operand,
                                    mlir::Value firstKey, tile::FragType type, FragmentMap &results) const;
  mlir::Value operandOf(const Product &product, KernelScope &kernel, mlir::OpBuilder &builder, const Frame &frame,
                        mlir::Type element);

  ir::OnlineAttentionOp op;
  unsigned queryFeatures = 0;
  mlir::Value inner, factor, summand, divisor, firstRow;
  llvm::SmallVector<Product> products;
  LookupTables tables;
};

} // namespace attn
