// A specification or a package, loaded on a device: what `run` and `check` begin with.
#pragma once

#include "tools/attnc/Command.h"

#include "attn/Device.h"
#include "attn/Module.h"
#include "runtime/jit/JitSession.h"

#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace attn::tools {

/// `--device`, and how the virtual GPU runs.
struct DeviceOption {
  std::string name = "auto", completion = "eager";
  std::optional<std::uint64_t> seed;
  bool sanitize = false;
  bool keepCounters = false; ///< no option, as what follows: for commands that print them
  std::optional<std::uint32_t> multiprocessors;

  void addTo(CLI::App &command);
  Result<Device> open(const std::string &target) const;
};

/// The compiled kernel of a specification, or of IR up to `tile`, from the cache or the compiler. Prints warnings.
Result<jit::JitSession::Kernel> compiledKernel(const driver::CompileRequest &request);

/// Compiles through the cache, or loads a package (`.pkg`), and returns the plan of the chosen attention.
Result<Plan> loadPlan(const Device &device, const SpecOptions &options);

} // namespace attn::tools
