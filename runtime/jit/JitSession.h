// Just-in-time compilation apart from the compiler: keys, caches, modules. The compiler is two functions, so that tests
// can put their own in its place.
#pragma once

#include "attn/Jit.h"
#include "driver/Compiler.h"
#include "runtime/cache/KernelCache.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace attn::jit {

struct CompilerFunctions {
  std::function<Result<std::string>(const driver::CompileRequest &)> canonicalText;
  std::function<Result<driver::CompiledPlan>(const driver::CompileRequest &)> compile;
  std::string version; ///< down to the build: kernels of another version are not used
};

/// Thread-safe; must outlive the calls on it. Keeps kernels' text in memory, but no device open: modules are shared only
/// while someone holds them.
class JitSession {
public:
  using Kernel = cache::KernelCache::Kernel;

  explicit JitSession(CompilerFunctions compiler) : compiler(std::move(compiler)) {}

  /// As `jit::compile`.
  Result<Module> compile(const Device &device, std::string_view text, const Options &options);
  /// As `jit::findKernel`.
  Result<Kernel> findKernel(const driver::CompileRequest &request, const Options &options);

private:
  using ModuleKey = std::pair<const runtime::DeviceDriver *, const cache::StoredKernel *>;

  Result<Kernel> findByText(const driver::CompileRequest &request, const Options &options);
  Result<Module> makeModule(const Device &device, const Kernel &kernel);

  struct Loaded {
    std::weak_ptr<const runtime::ModuleContent> module;
    Kernel kernel; // keeps the key's address taken
  };

  CompilerFunctions compiler;
  cache::KernelCache kernels;
  std::mutex mutex; // of all below
  std::map<ModuleKey, Loaded> modules;
  std::set<std::string> toldWarnings;
};

/// The kernel of `request` as `jit::compile` would load it: from memory, the disk cache or the compiler. Needs no device.
/// Of `options` only `useDiskCache` and `note` count.
Result<JitSession::Kernel> findKernel(const driver::CompileRequest &request, const Options &options = {});

} // namespace attn::jit
