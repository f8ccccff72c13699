// The contract between compiler and runtime: what a compiled specification (a *plan* of one or more kernels) takes,
// gives and needs. The compiler writes it, packages and the cache store it as JSON, the launcher checks every
// argument against it before the device sees anything. Free of LLVM.
//
// A tensor's dimensions stand in the order in which the caller passes them (`bhsd`: batch, heads, rows, dim); the
// kernel reads strides through `KernelParam`s, so one kernel serves any strides. The last stride is 1 always.
#pragma once

#include "support/ElementType.h"
#include "support/SizeExpr.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attn {

enum class ArgumentRole : std::uint8_t { Input, Output, Workspace };

/// A promise about values, from `in lo..hi` (both included): checked where the data is on the host.
struct ValueRange {
  SizeExpr lo, hi;
};

/// One tensor of the plan: `query`, `key`, `value`, parameters, `out`, `lse`, workspace.
struct TensorArgument {
  std::string name;
  ElementType type = ElementType::F32;
  ArgumentRole role = ArgumentRole::Input;
  std::vector<SizeExpr> dims;     ///< in the caller's order; for `bit` tensors the last is in bits
  std::optional<ValueRange> range;
  bool ascending = false;         ///< along the last dimension
  std::optional<SizeExpr> mostStep;   ///< a number is at most that much above the one before it: lengths in prefix sums
  std::string countedBy;          ///< if any, tensor L of whose numbers the first ceil(L[b] / countUnit) of row b count:
  std::uint32_t countUnit = 1;    ///< `range` holds for these, the others may be anything
  std::uint32_t alignment = 16;   ///< of the base address and of every stride but the last, in bytes
};

/// One scalar launch argument.
struct ScalarArgument {
  std::string name;
  ElementType type = ElementType::I32;       ///< I32, F32 or Bool
  std::optional<double> defaultValue;        ///< none: must be given
  std::optional<ValueRange> range;
  bool positive = false;                     ///< must be above 0 and finite: a scale
};

/// How a tensor map cuts its tensor: PTX ISA, "Tensor maps"; CUDA driver, cuTensorMapEncodeTiled. Sizes and strides are
/// the argument's at launch; elements beyond the tensor read as 0 and are not written.
struct TensorMapLayout {
  std::vector<std::uint32_t> dims;   ///< the tensor's dimensions (caller's order), the contiguous one first; 1 to 5
  std::vector<std::uint32_t> box;    ///< elements of a copy along each of them, 1 to 256
  std::uint32_t swizzle = 0;         ///< bytes of the pattern in shared memory: 0, 32, 64 or 128; box[0] elements take as many

  friend bool operator==(const TensorMapLayout &, const TensorMapLayout &) = default;
};

/// What one kernel parameter carries, in order of declaration in the PTX.
struct KernelParam {
  enum class Kind : std::uint8_t {
    Pointer,  ///< u64 device address of tensor `name`
    Stride,   ///< s64, stride of dimension `dim` (caller's order) of tensor `name`, in elements (bit: in 32-bit words)
    Extent,   ///< s32, value of the size expression in `name`
    Scalar,   ///< scalar argument `name`: s32, f32, or s32 0/1 for bool
    TensorMap, ///< 128 bytes by value, aligned to 64: how the tensor memory accelerator sees tensor `name` (`map`)
  };
  Kind kind;
  std::string name;
  std::uint32_t dim = 0;
  TensorMapLayout map = {};   ///< of a TensorMap only
};

/// One launch.
struct KernelManifest {
  std::string name;                  ///< the `.entry` in the PTX
  std::vector<SizeExpr> grid;        ///< three, over extents
  std::uint32_t threads = 0;         ///< a block
  std::uint32_t sharedBytes = 0;     ///< dynamic shared memory
  std::vector<KernelParam> params;
  /// Above 0: blocks take tiles of work until none is left. `grid[0]` counts the tiles, the others are 1, and the launch has
  /// as many blocks as tiles, but at most this many for each multiprocessor.
  std::uint32_t blocksPerMultiprocessor = 0;
};

/// A condition on extents that must hold at launch, e.g. `q_heads % kv_heads` must be 0.
struct ExtentCheck {
  SizeExpr mustBeZero;
  std::string message;               ///< says what is wrong, in the words of the caller
};

/// A compiled specification for one target.
struct PlanManifest {
  std::string name;                  ///< of the specification
  std::string target;                ///< `sm_80`, …
  std::vector<TensorArgument> tensors;
  std::vector<ScalarArgument> scalars;
  std::vector<ExtentCheck> checks;
  std::vector<KernelManifest> kernels;
  std::string specSource;            ///< the specification's text, for messages and packages
  bool tf32 = false;                 ///< products of f32 operands round them to tf32

  const TensorArgument *tensor(std::string_view name) const;
};

/// JSON, versioned; `parse` refuses what it does not know and says where.
std::string toJson(const PlanManifest &manifest);
std::optional<PlanManifest> parseManifest(std::string_view json, std::string *error);

} // namespace attn
