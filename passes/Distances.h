// Which values of a region are functions of the distance of key and query alone: a Toeplitz matrix has one number a
// diagonal. Found from integers: each is a·query + b·key + (what all points share), and only such with a = -b may enter.
#pragma once

#include "mlir/IR/Operation.h"
#include "mlir/IR/Region.h"

#include "llvm/ADT/DenseMap.h"

#include <functional>
#include <optional>

namespace attn {

/// What a value is a function of, beside what all points share; in the order of generality.
enum class PointKind : uint8_t { Shared, Distance, Other };

/// How much an integer grows from one query to the next, and from one key to the next.
struct PointSteps {
  int64_t query = 0, key = 0;
};

class Distances {
public:
  /// Steps of an operation that stands for a position, nothing for others.
  using Position = std::function<std::optional<PointSteps>(mlir::Operation *)>;

  Distances(mlir::Region &region, Position position) : region(region), position(std::move(position)) {}

  /// Values that come from outside are shared; arguments of the region, and results of operations with regions or of
  /// those that `isOpaque` holds for, are other.
  PointKind kindOf(mlir::Value value);
  std::function<bool(mlir::Operation *)> isOpaque;

private:
  bool isInside(mlir::Value value) const { return value.getParentRegion() == &region; }
  std::optional<PointSteps> steps(mlir::Value value);
  std::optional<PointSteps> computeSteps(mlir::Value value);
  PointKind computeKind(mlir::Value value);

  mlir::Region &region;
  Position position;
  llvm::DenseMap<mlir::Value, PointKind> kinds;
  llvm::DenseMap<mlir::Value, std::optional<PointSteps>> stepsOf;
};

} // namespace attn
