// `attnc explain --html`: what the compiler decided about a specification as one page that needs nothing else: no scripts, no
// fonts, no files beside it. Light and dark as the reader's system is.
#pragma once

#include "driver/Compiler.h"
#include "support/GpuMachine.h"
#include "tools/attnc/Ptxas.h"
#include "tools/attnc/Roofline.h"
#include "tools/attnc/TileCount.h"

#include <map>
#include <optional>
#include <string>

namespace attn::tools {

struct ExplainPage {
  const driver::CompiledPlan &plan;
  const driver::TileClasses &classes;
  std::map<std::string, double> shape;                ///< extents and scalars that tiles are shown for
  std::string origins;                                ///< where tensors that the mask reads came from; may be empty
  std::string launch;                                 ///< what a launch chooses; may be empty
  const std::optional<AssemblerReport> &assembly;     ///< nothing without ptxas
  const GpuMachine *machine = nullptr;                ///< of the bounds; null: none are drawn
  double tileMacs = 0;                                ///< multiply-adds of a tile's products, 0 if not known
  std::optional<Roofline> counted;                    ///< of the virtual GPU's counts; else bounds follow from the shape
};

/// The page's text.
std::string htmlOf(const ExplainPage &page);

} // namespace attn::tools
