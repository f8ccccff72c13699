// What `attnc bench` and `attnc explain --counters` run: a compiled specification on a device, inputs for one shape, and how
// much of it the mask leaves to do.
#pragma once

#include "tools/attnc/Inputs.h"
#include "tools/attnc/SpecModule.h"
#include "tools/attnc/TileCount.h"

#include "dsl/Evaluate.h"
#include "dsl/TypedSpec.h"

#include <map>
#include <memory>
#include <string>

namespace attn::tools {

struct BenchWork {
  driver::CompileRequest request;
  std::unique_ptr<dsl::TypedSpec> spec;
  Device device;
  Plan plan;
  PlanInputs inputs;
  std::map<std::string, double> shape;    ///< extents and scalars, those that were chosen here too
  driver::ScheduleSummary schedule;
  TileCount tiles;                        ///< over all requests and heads
  driver::VisiblePoints points;

  /// Tiles of block_m rows and block_n keys in which the mask shows something.
  double visibleTiles() const { return static_cast<double>(tiles.partial + tiles.full); }
  /// Floating-point operations of the two products, of visible points alone.
  double flop() const;
  std::string shapeText() const;
};

struct BenchRequest {
  const SpecOptions &spec;
  const std::map<std::string, double> &shape;
  const InputOption *files = nullptr;      ///< tensors from files; the others are random
  std::uint64_t seed = 1;
  double defaultLength = 1024;             ///< of q_len and kv_len where the shape has neither
};

/// Compiles for `spec.target`, loads on `device` and makes the inputs: tensors from files, the others random.
Result<BenchWork> prepareWork(const BenchRequest &request, const Device &device);

} // namespace attn::tools
