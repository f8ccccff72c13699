// `--input`: tensors from files, fitted to what a plan takes.
#pragma once

#include "tools/attnc/PlanRun.h"

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace attn::tools {

/// Whether the plan knows the names of `--shape` and their numbers can be what they are for: extents whole and not
/// negative, i32 and bool scalars in range.
Status checkValues(const std::map<std::string, double> &values, const PlanManifest &manifest);

/// Every extent that sizes, grids, promises or kernel parameters speak of.
std::set<std::string> extentNames(const PlanManifest &manifest);

struct InputOption {
  std::vector<std::string> items;
  bool cast = false;

  void addTo(CLI::App &command);
  bool empty() const { return items.empty(); }
  /// All inputs of the plan that the files hold, each of the type the plan wants. A name that the plan does not know is
  /// an error; a whole safetensors file gives only what is asked for.
  Result<PlanInputs> read(const PlanManifest &manifest) const;
};

} // namespace attn::tools
