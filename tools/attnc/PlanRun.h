// Runs a loaded plan on host tensors: fits them to what the plan takes, copies in, launches, copies out.
#pragma once

#include "tools/attnc/TensorFile.h"

#include "attn/Plan.h"
#include "runtime/manifest/KernelManifest.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace attn::tools {

/// What a run is given: tensors in the caller's dimension order, and numbers for scalars and extents.
struct PlanInputs {
  NamedTensors tensors;
  std::map<std::string, double> values;
  std::uint32_t splits = 0;   ///< `LaunchOptions::splits`
};

/// Makes `tensor` what `argument` asks for: same type, or with `cast` a rounded float; bool arrays and 32-bit words serve
/// `bit` parameters. The message names file-side type and wanted type.
Result<HostTensor> fitTensor(const HostTensor &tensor, const TensorArgument &argument, bool cast);

/// Every extent that the tensors' shapes and `values` fix. Fails on a contradiction, a wrong rank, or a missing tensor.
Result<std::map<std::string, std::int64_t>> bindExtents(const PlanManifest &manifest, const PlanInputs &inputs);

/// How tensors lie in device memory.
enum class MemoryOrder : std::uint8_t {
  Contiguous,
  /// Rows apart from each other, and the outer dimensions in reverse order: what a view of a larger tensor looks like.
  /// The gaps of inputs hold NaN; outputs that reach into their gaps fail the run.
  Gaps,
};

/// Where the rows of one argument lie. `strides` count elements, or words of `bit`.
struct Placement {
  const TensorArgument *argument;
  std::vector<std::int64_t> shape, strides;
  std::int64_t rowBytes;
};
struct DeviceTensor {
  Placement placement;
  Buffer buffer;
};

/// A launch with all it needs in device memory, to be repeated.
class PlanLaunch {
public:
  /// Copies the inputs in and makes room for the outputs.
  static Result<PlanLaunch> prepare(const Device &device, const Plan &plan, const PlanInputs &given,
                                    MemoryOrder order = MemoryOrder::Contiguous);

  Status enqueue(const Stream &stream, bool checkValues = true) const;
  /// Of inputs and outputs.
  std::size_t tensorBytes() const;
  /// After the stream got there: all outputs, contiguous and in the caller's dimension order.
  Result<NamedTensors> outputs() const;

private:
  explicit PlanLaunch(const Plan &plan) : plan(plan) {}

  Plan plan;
  std::vector<DeviceTensor> tensors;
  std::map<std::string, double> values;
  std::vector<Argument> arguments; ///< their names are those of the plan and of `values`
  std::optional<Buffer> workspace;
  std::size_t workspaceBytes = 0;
  std::uint32_t splits = 0;
};

/// Launches once and waits. All outputs come back, contiguous and in the caller's dimension order.
Result<NamedTensors> runPlan(const Device &device, const Plan &plan, const PlanInputs &inputs,
                             MemoryOrder order = MemoryOrder::Contiguous);

} // namespace attn::tools
