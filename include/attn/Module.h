// Modules: compiled specifications on a device.
#pragma once

#include "attn/Plan.h"

namespace attn {

class Package;

/// A handle: copies share one module, which keeps its device open. Thread-safe.
///
///     Result<Module> module = Module::load(device, "attention.pkg");
///     Result<Plan> plan = module->plan("llama3");
class Module {
public:
  /// Of each plan in the package the code that suits the device best. Fails when a plan has none that runs there.
  static Result<Module> load(const Device &device, const std::string &packagePath);
  static Result<Module> load(const Device &device, const Package &package);
  /// PTX text and its manifest, as `attnc compile --emit=ptx` writes them.
  static Result<Module> fromPtx(const Device &device, std::string_view ptx, std::string_view manifestJson);

  std::vector<std::string> planNames() const;
  /// By name, or without one the only plan. The first call for a plan brings its code onto the device.
  Result<Plan> plan(std::string_view name = {}) const;

  const std::shared_ptr<const runtime::ModuleContent> &shared() const { return content; } ///< for the library itself
  explicit Module(std::shared_ptr<const runtime::ModuleContent> content) : content(std::move(content)) {}

private:
  std::shared_ptr<const runtime::ModuleContent> content;
};

} // namespace attn
