// Plans: what a specification compiled to, ready to launch.
#pragma once

#include "attn/Buffer.h"

#include <concepts>
#include <variant>

namespace attn {

struct PlanManifest;
namespace runtime {
struct ModuleContent;
struct PlanContent;
} // namespace runtime

/// A launch argument: a tensor, or a number for a scalar parameter or for an extent that no tensor's shape gives.
/// The name must stay valid during the call.
struct Argument {
  std::string_view name;
  std::variant<TensorView, std::int64_t, double, bool> value;

  Argument(std::string_view name, const TensorView &tensor) : name(name), value(tensor) {}
  Argument(std::string_view name, std::integral auto number) : name(name), value(fromInteger(number)) {}
  Argument(std::string_view name, std::floating_point auto number) : name(name), value(static_cast<double>(number)) {}

private:
  static std::variant<TensorView, std::int64_t, double, bool> fromInteger(std::integral auto number) {
    if constexpr (std::same_as<decltype(number), bool>)
      return number;
    else
      return static_cast<std::int64_t>(number);
  }
};

struct LaunchOptions {
  /// Memory of the caller for what the plan's kernels pass among themselves: `Plan::workspaceBytes` of it, aligned to
  /// 256 bytes, used until the launch is done on the stream. Plans without workspace need none.
  std::uint64_t workspace = 0;
  std::size_t workspaceBytes = 0;
  /// Check promises about values (`in`, `ascending`) where the data is on the host.
  bool checkValues = true;
  /// Of plans whose keys may be split among blocks: into how many shares, 1 to 1024. 0: as the lengths and the device suggest.
  /// Other plans run as they are.
  std::uint32_t splits = 0;
};

/// What a plan takes, for programs that find out.
struct ArgumentInfo {
  enum class Kind : std::uint8_t { Input, Output, Scalar };
  std::string name;
  Kind kind = Kind::Input;
  ElementType type = ElementType::F32;
  std::vector<std::string> dims = {}; ///< size expressions; empty for scalars
  bool optional = false;         ///< a scalar with a default
};

/// A handle: copies share one loaded plan, which keeps its device open. Thread-safe.
///
/// `launch` checks every argument first: names, types, ranks, agreement of extents, strides, alignment, ranges. When one
/// is wrong the `Status` names argument, value and limit, and nothing is launched. A launch neither allocates device
/// memory nor waits, so it may be captured into a CUDA graph.
///
///     Status status = plan.launch(stream, {{"query", q}, {"key", k}, {"value", v}, {"out", o}, {"lse", lse}});
class Plan {
public:
  std::string_view name() const;
  std::string_view target() const;
  std::vector<ArgumentInfo> arguments() const;

  /// Bytes of workspace for these arguments; tensors count by their shapes, addresses may be 0. `splits` as in `LaunchOptions`.
  Result<std::size_t> workspaceBytes(std::span<const Argument> arguments, std::uint32_t splits = 0) const;
  Result<std::size_t> workspaceBytes(std::initializer_list<Argument> arguments, std::uint32_t splits = 0) const;

  Status launch(const Stream &stream, std::span<const Argument> arguments, const LaunchOptions &options = {}) const;
  Status launch(const Stream &stream, std::initializer_list<Argument> arguments,
                const LaunchOptions &options = {}) const;

  const PlanManifest &manifest() const; ///< for the project's own tools

private:
  friend class Module;
  Plan(std::shared_ptr<const runtime::ModuleContent> module, const runtime::PlanContent *plan)
      : module(std::move(module)), plan(plan) {}

  std::shared_ptr<const runtime::ModuleContent> module;
  const runtime::PlanContent *plan;
};

} // namespace attn
