// A plan with a given mask, classified, and evaluated point by point: what the tests of the mask analysis share.
#pragma once

#include "passes/attn/EvaluateRegion.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace attn::mask_test {

/// Sizes, parameters and tables of one evaluation. Tables have one row for all requests.
struct Case {
  std::int64_t qLen = 0, kvLen = 0;
  std::map<std::string, double, std::less<>> scalars = {};
  std::map<std::string, std::vector<std::int64_t>, std::less<>> tables = {};
};

/// How key blocks of a tile of rows fall: hidden from all rows, visible to some, visible to all.
struct BlockCounts {
  std::int64_t skipped = 0, partial = 0, full = 0;
  friend bool operator==(const BlockCounts &, const BlockCounts &) = default;
};

class ClassifiedMask {
public:
  /// `mask` is the text of a mask region over the arguments of `kArguments`. Fails the test on an error.
  explicit ClassifiedMask(const std::string &mask);
  ~ClassifiedMask();

  bool isValid() const { return static_cast<bool>(module); }
  std::string text() const;

  TileKeyRanges ranges(const Case &inputs, std::int64_t firstRow, std::int64_t lastRow) const;
  bool visible(const Case &inputs, std::int64_t row, std::int64_t key) const;

  /// Checks soundness at every point: nothing visible is skipped, nothing hidden lies in a full range.
  void expectSound(const Case &inputs, std::int64_t blockM) const;
  /// Blocks by the ranges, and by looking at every point.
  BlockCounts byRanges(const Case &inputs, std::int64_t blockM, std::int64_t blockN) const;
  BlockCounts byPoints(const Case &inputs, std::int64_t blockM, std::int64_t blockN) const;

private:
  mlir::Region &region(bool isMask) const;
  RegionInputs inputsOf(const Case &inputs) const;

  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

/// Arguments a mask may use, beside %query, %key, %value: scalars %p (in 1..64) and %w (any), ascending tables %qdoc and
/// %kdoc, %lengths a number a request, a table %qend of rows in 1..q_len, %kend of keys in 1..q_len, booleans %kflag.
extern const char *const kArguments;

} // namespace attn::mask_test
