#include "runtime/manifest/ManifestChecks.h"

#include "runtime/manifest/ManifestNames.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>

namespace attn::manifest {

static constexpr std::uint32_t kMaxThreads = 1024; // a block, on every target
static constexpr std::uint32_t kMaxBlocks = 32;    // of a multiprocessor, on every target
static constexpr std::size_t kMaxRank = 8;
static constexpr std::size_t kMaxMapRank = 5;
static constexpr std::uint32_t kMaxMapBox = 256, kMapGranule = 16; // elements; bytes (CUDA driver, cuTensorMapEncodeTiled)
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

/// Counted rows are those of a matrix, and their numbers of i32 stand in a vector.
static std::string checkCounts(const PlanManifest &plan, const TensorArgument &tensor, std::size_t index) {
  if (tensor.countedBy.empty())
    return {};
  const TensorArgument *counts = plan.tensor(tensor.countedBy);
  if (!counts || counts->dims.size() != 1 || counts->type != ElementType::I32 || tensor.dims.size() != 2 || tensor.countUnit == 0)
    return fmt::format("/tensors/{}/countedBy: `{}` cannot count the numbers of `{}`", index, tensor.countedBy, tensor.name);
  return {};
}

static std::string checkScalar(const ScalarArgument &scalar, std::size_t index) {
  if (scalar.type != ElementType::I32 && scalar.type != ElementType::F32 && scalar.type != ElementType::Bool)
    return fmt::format("/scalars/{}/type: expects i32, f32 or bool, but got {}", index, spelling(scalar.type));
  return {};
}

static std::string checkMap(const TensorArgument &tensor, const TensorMapLayout &map) {
  const std::size_t rank = tensor.dims.size();
  if (rank > kMaxMapRank)
    return fmt::format("/dims: a tensor map has 1 to {} dimensions, but `{}` has {}", kMaxMapRank, tensor.name, rank);
  std::vector<std::uint32_t> sorted = map.dims;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < std::max(rank, sorted.size()); ++i)
    if (sorted.size() != rank || sorted[i] != i)
      return fmt::format("/dims: expects each of the {} dimensions of `{}` once", rank, tensor.name);
  if (map.dims[0] + 1 != rank)
    return fmt::format("/dims: expects the last dimension of `{}` first, but got {}", tensor.name, map.dims[0]);
  if (map.box.size() != rank)
    return fmt::format("/box: expects {} sizes, but got {}", rank, map.box.size());
  for (std::uint32_t size : map.box)
    if (size == 0 || size > kMaxMapBox)
      return fmt::format("/box: expects sizes from 1 to {}, but got {}", kMaxMapBox, size);
  if (tensor.type == ElementType::Bit)
    return fmt::format("/name: `{}` holds bits, which a tensor map cannot describe", tensor.name);
  if (map.swizzle != 0 && map.swizzle != 32 && map.swizzle != 64 && map.swizzle != 128)
    return fmt::format("/swizzle: expects 0, 32, 64 or 128, but got {}", map.swizzle);
  const std::uint32_t bytes = map.box[0] * storageBits(tensor.type) / 8;
  if (bytes % kMapGranule != 0)
    return fmt::format("/box: a row has {} bytes, which is no multiple of {}", bytes, kMapGranule);
  if (map.swizzle != 0 && bytes != map.swizzle)
    return fmt::format("/box: a row has {} bytes, but the swizzle {}", bytes, map.swizzle);
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
  case KernelParam::Kind::TensorMap: {
    const TensorArgument *tensor = plan.tensor(param.name);
    return tensor ? checkMap(*tensor, param.map) : fmt::format("/name: there is no tensor `{}`", param.name);
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

/// At most; each parameter as wide as it can be for its kind.
static std::size_t parameterBytes(const KernelManifest &kernel) {
  std::size_t bytes = 0;
  for (const KernelParam &param : kernel.params) {
    const bool map = param.kind == KernelParam::Kind::TensorMap;
    bytes = map ? (bytes + 63) / 64 * 64 + 128 : bytes + sizeof(std::uint64_t);
  }
  return bytes;
}

static std::string checkKernel(const PlanManifest &plan, const KernelManifest &kernel) {
  if (kernel.name.empty())
    return "/name: is empty";
  if (kernel.grid.size() != 3)
    return fmt::format("/grid: expects three sizes, but got {}", kernel.grid.size());
  if (kernel.blocksPerMultiprocessor > kMaxBlocks)
    return fmt::format("/blocksPerMultiprocessor: expects at most {}, but got {}", kMaxBlocks, kernel.blocksPerMultiprocessor);
  if (kernel.blocksPerMultiprocessor > 0 && (kernel.grid[1].constant() != 1 || kernel.grid[2].constant() != 1))
    return "/grid: tiles of work are counted along the first dimension alone, where blocks take one after the other";
  if (kernel.threads == 0 || kernel.threads > kMaxThreads)
    return fmt::format("/threads: expects 1 to {}, but got {}", kMaxThreads, kernel.threads);
  if (std::size_t bytes = parameterBytes(kernel); bytes > kMaxParameterBytes)
    return fmt::format("/params: {} parameters take {} bytes; the limit is {}", kernel.params.size(), bytes,
                       kMaxParameterBytes);
  for (std::size_t i = 0; i < kernel.params.size(); ++i)
    if (std::string wrong = checkParam(plan, kernel.params[i]); !wrong.empty())
      return fmt::format("/params/{}{}", i, wrong);
  return {};
}

/// A plan whose keys may be split has one kernel of each use, and two of them say how they cut attention up; others of the first use
/// prepare for it.
static std::string checkUses(const PlanManifest &plan) {
  std::size_t counts[5] = {};
  for (std::size_t i = 0; i < plan.kernels.size(); ++i) {
    const KernelManifest &kernel = plan.kernels[i];
    counts[static_cast<std::size_t>(kernel.use)] += kernel.use != KernelUse::Whole || kernel.work || !plan.keys;
    bool mayPrepare = kernel.use == KernelUse::Whole && plan.keys;
    bool attends = kernel.use == KernelUse::Whole || kernel.use == KernelUse::FewRows;
    if (kernel.work.has_value() != attends && !(mayPrepare && !kernel.work))
      return fmt::format("/kernels/{}/work: stands with the kernels for all and for few rows", i);
    if (kernel.work && (kernel.work->rows == 0 || kernel.work->keys == 0 || kernel.work->perMultiprocessor == 0))
      return fmt::format("/kernels/{}/work: a tile has rows and keys, and a multiprocessor a block", i);
  }
  if (std::size_t count = counts[static_cast<std::size_t>(KernelUse::Ahead)]; count > (plan.keys ? 1 : 0))
    return fmt::format("/kernels: expects {} of use `ahead`, but got {}", plan.keys ? "at most one" : "none, without `keys`,", count);
  for (KernelUse use : {KernelUse::Whole, KernelUse::FewRows, KernelUse::Merge})
    if (std::size_t count = counts[static_cast<std::size_t>(use)]; count != (plan.keys ? 1 : 0))
      return fmt::format("/kernels: expects {} of use `{}`, but got {}", plan.keys ? "one" : "none, without `keys`,", wordFor(kUses, use), count);
  return {};
}

std::string findInconsistency(const PlanManifest &plan) {
  if (std::string wrong = checkNames(plan); !wrong.empty())
    return wrong;
  for (std::size_t i = 0; i < plan.tensors.size(); ++i)
    if (std::string wrong = checkTensor(plan.tensors[i], i); !wrong.empty())
      return wrong;
  for (std::size_t i = 0; i < plan.tensors.size(); ++i)
    if (std::string wrong = checkCounts(plan, plan.tensors[i], i); !wrong.empty())
      return wrong;
  for (std::size_t i = 0; i < plan.scalars.size(); ++i)
    if (std::string wrong = checkScalar(plan.scalars[i], i); !wrong.empty())
      return wrong;
  if (plan.kernels.empty())
    return "/kernels: expects at least one";
  for (std::size_t i = 0; i < plan.kernels.size(); ++i)
    if (std::string wrong = checkKernel(plan, plan.kernels[i]); !wrong.empty())
      return fmt::format("/kernels/{}{}", i, wrong);
  return checkUses(plan);
}

} // namespace attn::manifest
