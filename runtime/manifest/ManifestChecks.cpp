#include "runtime/manifest/ManifestChecks.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>

namespace attn::manifest {

static constexpr std::uint32_t kMaxThreads = 1024; // a block, on every target
static constexpr std::size_t kMaxRank = 8;
static constexpr std::size_t kMaxParameterBytes = 4096; // of one kernel, on every target (PTX ISA, "Kernel Function Parameters")

static std::string checkNames(const PlanManifest &plan) {
  if (plan.name.empty())
    return "/name: is empty";
  if (plan.target.empty())
    return "/target: is empty";
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < plan.tensors.size(); ++i)
    if (plan.tensors[i].name.empty() || !seen.insert(plan.tensors[i].name).second)
      return fmt::format("/tensors/{}/name: `{}` is empty or taken already", i, plan.tensors[i].name);
  for (std::size_t i = 0; i < plan.scalars.size(); ++i)
    if (plan.scalars[i].name.empty() || !seen.insert(plan.scalars[i].name).second)
      return fmt::format("/scalars/{}/name: `{}` is empty or taken already", i, plan.scalars[i].name);
  return {};
}

static std::string checkTensor(const TensorArgument &tensor, std::size_t index) {
  if (tensor.dims.empty() || tensor.dims.size() > kMaxRank)
    return fmt::format("/tensors/{}/dims: expects 1 to {} dimensions, but got {}", index, kMaxRank, tensor.dims.size());
  if (!std::has_single_bit(tensor.alignment) || tensor.alignment > 1024)
    return fmt::format("/tensors/{}/alignment: expects a power of two up to 1024, but got {}", index, tensor.alignment);
  return {};
}

static std::string checkScalar(const ScalarArgument &scalar, std::size_t index) {
  if (scalar.type != ElementType::I32 && scalar.type != ElementType::F32 && scalar.type != ElementType::Bool)
    return fmt::format("/scalars/{}/type: expects i32, f32 or bool, but got {}", index, spelling(scalar.type));
  return {};
}

static std::string checkParam(const PlanManifest &plan, const KernelParam &param) {
  switch (param.kind) {
  case KernelParam::Kind::Pointer:
    return plan.tensor(param.name) ? "" : fmt::format("/name: there is no tensor `{}`", param.name);
  case KernelParam::Kind::Stride: {
    const TensorArgument *tensor = plan.tensor(param.name);
    if (!tensor)
      return fmt::format("/name: there is no tensor `{}`", param.name);
    if (param.dim >= tensor->dims.size())
      return fmt::format("/dim: `{}` has {} dimensions, but got {}", param.name, tensor->dims.size(), param.dim);
    return {};
  }
  case KernelParam::Kind::Scalar: {
    auto matches = [&](const ScalarArgument &scalar) { return scalar.name == param.name; };
    bool found = std::any_of(plan.scalars.begin(), plan.scalars.end(), matches);
    return found ? "" : fmt::format("/name: there is no scalar `{}`", param.name);
  }
  case KernelParam::Kind::Extent: {
    std::string error;
    return SizeExpr::parse(param.name, &error) ? "" : fmt::format("/name: `{}` is not a size: {}", param.name, error);
  }
  }
  return {};
}

static std::string checkKernel(const PlanManifest &plan, const KernelManifest &kernel) {
  if (kernel.name.empty())
    return "/name: is empty";
  if (kernel.grid.size() != 3)
    return fmt::format("/grid: expects three sizes, but got {}", kernel.grid.size());
  if (kernel.threads == 0 || kernel.threads > kMaxThreads)
    return fmt::format("/threads: expects 1 to {}, but got {}", kMaxThreads, kernel.threads);
  if (kernel.params.size() * sizeof(std::uint64_t) > kMaxParameterBytes)
    return fmt::format("/params: {} parameters; the limit is {}", kernel.params.size(),
                       kMaxParameterBytes / sizeof(std::uint64_t));
  for (std::size_t i = 0; i < kernel.params.size(); ++i)
    if (std::string wrong = checkParam(plan, kernel.params[i]); !wrong.empty())
      return fmt::format("/params/{}{}", i, wrong);
  return {};
}

std::string findInconsistency(const PlanManifest &plan) {
  if (std::string wrong = checkNames(plan); !wrong.empty())
    return wrong;
  for (std::size_t i = 0; i < plan.tensors.size(); ++i)
    if (std::string wrong = checkTensor(plan.tensors[i], i); !wrong.empty())
      return wrong;
  for (std::size_t i = 0; i < plan.scalars.size(); ++i)
    if (std::string wrong = checkScalar(plan.scalars[i], i); !wrong.empty())
      return wrong;
  if (plan.kernels.empty())
    return "/kernels: expects at least one";
  for (std::size_t i = 0; i < plan.kernels.size(); ++i)
    if (std::string wrong = checkKernel(plan, plan.kernels[i]); !wrong.empty())
      return fmt::format("/kernels/{}{}", i, wrong);
  return {};
}

} // namespace attn::manifest
