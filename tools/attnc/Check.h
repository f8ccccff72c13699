// Compares what a plan computes with the float64 evaluation of its specification. Behind `attnc check` and the
// conformance tests.
#pragma once

#include "tools/attnc/PlanRun.h"

#include "dsl/Evaluate.h"
#include "dsl/TypedSpec.h"

#include <map>
#include <string>
#include <vector>

namespace attn::tools {

/// How far one output is from a reference.
struct OutputError {
  std::string name;
  bool isWithin = false;
  double rmsRelative = 0;        ///< root mean square of the error over that of the reference
  double maxAbsolute = 0;
  double emulatedRms = 0;        ///< rmsRelative of the FlashAttention-2 emulation on the same inputs; 0: not known
  double worstOfTolerance = 0;   ///< largest error of a row over what the row is allowed; 1 is the limit
  std::string worstRow;          ///< the row that `worstOfTolerance` is of: `b=0, h=1, q_idx=17`
  std::string problem;           ///< in words, empty when within
};

struct CheckRecord {
  std::string shape;             ///< `batch=1, q_len=77, …`
  std::vector<OutputError> outputs;
  bool isWithin() const;
};

/// The evaluation's input in the order in which the plan takes it, and back (`bhsd` swaps rows and heads).
HostTensor swapRowsAndHeads(const HostTensor &tensor);

/// The reverse: `input` (layout bshd) as the plan takes it. Tensors that the plan does not read are left out.
PlanInputs planInputs(const dsl::TypedSpec &spec, const PlanManifest &manifest, const dsl::EvaluationInput &input);

/// Runs `plan` on `input` (layout bshd) and compares every output of the specification that has a reference.
Result<CheckRecord> checkPlan(const Device &device, const Plan &plan, const dsl::TypedSpec &spec, const dsl::EvaluationInput &input,
                              std::uint32_t splits = 0);

/// The two halves of `checkPlan`, for callers that run one input several times: outputs in the caller's order, and their
/// comparison with an evaluation of the same input that has `emulateKernel`.
Result<NamedTensors> runOnInput(const Device &device, const Plan &plan, const dsl::TypedSpec &spec, const dsl::EvaluationInput &input,
                                MemoryOrder order = MemoryOrder::Contiguous, std::uint32_t splits = 0);
Result<CheckRecord> compareOutputs(const dsl::TypedSpec &spec, const dsl::EvaluationInput &input, const NamedTensors &outputs,
                                   const dsl::EvaluationOutput &exact);

/// Extents and scalars of `spec` by their names, `batch` 1 where it is not given; no tensors.
dsl::EvaluationInput boundByName(const dsl::TypedSpec &spec, const std::map<std::string, double> &values);

/// Extents and scalars from `values`, tensors from `inputs` (in the caller's order).
dsl::EvaluationInput evaluationInput(const dsl::TypedSpec &spec, const PlanManifest &manifest, const PlanInputs &inputs);

/// `batch=1, q_len=77, …`
std::string describeShape(const dsl::EvaluationInput &input);

/// Norms of actual against a stored tensor of the same shape; no tolerance of its own: within means finite where it is
/// and closer than `limit` (root mean square, relative).
OutputError compareWithStored(const std::string &name, const HostTensor &actual, const HostTensor &expected, double limit);

} // namespace attn::tools
