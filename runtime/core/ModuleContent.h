// What the public handles `Module` and `Plan` share: manifests, code, and what is loaded of it.
#pragma once

#include "attn/Module.h"
#include "runtime/core/DeviceDriver.h"
#include "runtime/manifest/KernelManifest.h"

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace attn::runtime {

/// A kernel parameter with its names looked up.
struct PreparedParam {
  KernelParam::Kind kind;
  std::size_t index = 0; ///< of the tensor or scalar in the manifest
  std::uint32_t dim = 0; ///< of a stride
  SizeExpr size = SizeExpr::number(0); ///< of an extent
  const TensorMapLayout *map = nullptr; ///< of a tensor map; in the manifest
};

struct PreparedKernel {
  const KernelManifest *manifest = nullptr;
  std::vector<PreparedParam> params;
  std::unique_ptr<DeviceKernel> code;
};

/// One plan of a module. Its code comes onto the device at the first use.
struct PlanContent {
  PlanManifest manifest;
  std::vector<std::string> extents; ///< every extent that a launch needs
  std::string ptx;
  std::vector<std::byte> cubin;

  /// Loads once; later calls give the first outcome.
  Status ensureLoaded(DeviceDriver &device) const;
  /// After `ensureLoaded` succeeded.
  const std::vector<PreparedKernel> &kernels() const { return prepared; }

private:
  Status load(DeviceDriver &device) const;

  mutable std::once_flag once;
  mutable Status outcome;
  mutable std::unique_ptr<DeviceCode> code; // declared before the kernels, which must go first
  mutable std::vector<PreparedKernel> prepared;
};

struct ModuleContent {
  std::shared_ptr<DeviceDriver> device;
  std::vector<std::unique_ptr<PlanContent>> plans;
};

/// The extents that launching a plan needs, each once, in order of appearance.
std::vector<std::string> extentsOf(const PlanManifest &manifest);

} // namespace attn::runtime
