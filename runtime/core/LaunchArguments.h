// The arguments of one launch, brought together with the manifest and checked: what `Plan::launch` does before the
// device sees anything.
#pragma once

#include "attn/Plan.h"
#include "runtime/core/DeviceDriver.h"
#include "runtime/manifest/KernelManifest.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::runtime {

/// An extent and who fixed it, for messages.
struct ExtentValue {
  std::string_view name;
  std::int64_t value = 0;
  std::string_view givenBy;
};

struct BoundArguments {
  std::vector<TensorView> tensors;  ///< in the manifest's order; workspace has an address of 0 until placed
  std::vector<double> scalars;      ///< in the manifest's order; exact for i32 and bool
  std::vector<ExtentValue> extents;
  bool isForFewRows = false;        ///< of a plan whose keys may be split: the launch's choice,
  std::int64_t splits = 1;          ///< and into how many shares

  std::optional<std::int64_t> extent(std::string_view name) const;
  /// Refers to this object.
  SizeExpr::Lookup lookup() const {
    return [this](std::string_view name) { return extent(name); };
  }
};

/// Checks names, kinds, types, ranks, extents, ranges of scalars and the manifest's conditions on extents.
/// `extents` are all that the plan needs (`extentsOf`).
Result<BoundArguments> bindArguments(const PlanManifest &manifest, std::span<const std::string> extents,
                                     std::span<const Argument> arguments);

/// Checks addresses, strides and alignment of inputs and outputs, and that no output lies on another tensor.
Status checkPlacement(const PlanManifest &manifest, const BoundArguments &bound);

/// Where the device lets the host see: that each tensor lies in one allocation, and what `in` and `ascending` promise.
Status checkMemory(const PlanManifest &manifest, const BoundArguments &bound, DeviceDriver &device, bool checkValues);

/// Gives every workspace tensor its place in a block at `address` (256-byte aligned) and returns the block's size.
Result<std::size_t> placeWorkspace(const PlanManifest &manifest, BoundArguments &bound, std::uint64_t address);

} // namespace attn::runtime
