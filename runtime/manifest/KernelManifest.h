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

/// The extent that a launch chooses, where a plan's keys may be split: into how many shares.
inline constexpr std::string_view kSplitsExtent = "splits";

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

/// When a kernel of a plan is launched. A plan whose keys may be split has one kernel for all rows and one for few, of which
/// each launch takes one, and a merge.
enum class KernelUse : std::uint8_t {
  Always,
  Whole,    ///< the kernel for all rows, and kernels that prepare for it
  FewRows,  ///< the kernel for few rows: each tile's keys are dealt to as many blocks as extent `splits` says
  Merge,    ///< after the kernel for few rows, where there is more than one share
  Ahead,    ///< before it, there: what shares pass to each other
};

/// How a kernel cuts attention up, for the choice between two of them.
struct TileWork {
  std::uint32_t rows = 0, keys = 0;   ///< of a tile
  SizeExpr tiles = SizeExpr::number(1); ///< of rows, over all heads and requests
  std::uint32_t perMultiprocessor = 1;  ///< blocks that run at a time
  /// How many keys the mask lets a tile see at most, over extents and scalars; nothing where it bounds none.
  std::optional<SizeExpr> visible = {};
  /// Of the kernel for few rows: bytes of a block of keys and their values, and of a tile's sums in one share. 0 where it is not said.
  std::uint32_t blockBytes = 0, sumBytes = 0;
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
  KernelUse use = KernelUse::Always;
  std::optional<TileWork> work = {}; ///< of the kernels that attend to all and to few rows
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
  bool approximateTanh = false;      ///< a `tanh` in a score is the target's instruction, relative error 2^-11
  /// Set where keys may be split: how many a request has, about. Extent `splits` then is the launch's choice.
  std::optional<SizeExpr> keys;
  bool float8Scores = false;         ///< query and key are multiplied as 8-bit floats, whose sums keep 14 bits
  bool float8Probs = false;          ///< and so are probs and value, with probs rounded to 8 bits

  const TensorArgument *tensor(std::string_view name) const;
  /// The kernel of that use, of several the one that attends; null if there is none.
  const KernelManifest *kernel(KernelUse use) const;
};

/// JSON, versioned; `parse` refuses what it does not know and says where.
std::string toJson(const PlanManifest &manifest);
std::optional<PlanManifest> parseManifest(std::string_view json, std::string *error);

} // namespace attn
