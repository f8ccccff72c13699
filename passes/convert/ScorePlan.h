// Region `score` cut into its parts: the products of features, which are matrix products of tiles, the uniform positive
// factor at its root, which the softmax step applies, and the scalar mathematics between the two.
#pragma once

#include "passes/convert/ElementScope.h"

namespace attn {

class ScorePlan {
public:
  /// Finds the parts; fails with a message at a product that is not one of tiles.
  mlir::LogicalResult analyse(ir::OnlineAttentionOp op, KernelScope &kernel, mlir::func::FuncOp plan);

  /// The score without the factor at its root.
  mlir::Value root() const { return inner; }
  /// The factor, an f32 > 0; null after a message.
  mlir::Value scale(KernelScope &kernel);
  /// Terms of query rows alone and operands that do not change with the block; before the loop.
  mlir::LogicalResult writeQueryTerms(KernelScope &kernel, mlir::OpBuilder &builder, mlir::ValueRange queryOperands,
                                      mlir::Value firstRow, int64_t rows);
  /// The products for one block of keys, by the values of the region that they stand for.
  mlir::FailureOr<FragmentMap> writeProducts(KernelScope &kernel, mlir::OpBuilder &builder,
                                             mlir::ValueRange queryOperands, mlir::ValueRange keyOperands,
                                             mlir::Value firstKey, mlir::Value zero);

private:
  enum class Form { Tiles, QueryTerm, RowsTimesKeys, QueryTimesRows };
  struct Product {
    mlir::Value result;      ///< of the `attn.dot`
    Form form;
    unsigned queryFeature = 0, keyFeature = 0;
    mlir::Value rows;        ///< the vector that is no feature
    mlir::Value invariant;   ///< written before the loop: the term, or the operand made of `rows`
  };
  mlir::LogicalResult classify(ir::DotOp dot, KernelScope &kernel);
  mlir::Value operandOf(const Product &product, KernelScope &kernel, mlir::OpBuilder &builder, const Frame &frame,
                        mlir::Type element);

  ir::OnlineAttentionOp op;
  unsigned queryFeatures = 0;
  mlir::Value inner, factor;
  llvm::SmallVector<Product> products;
};

} // namespace attn
