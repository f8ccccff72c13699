#include "runtime/jit/JitSession.h"

#include "runtime/cache/CacheKey.h"
#include "runtime/core/ModuleContent.h"
#include "support/GpuTarget.h"
#include "support/NearestName.h"

#include <fmt/format.h>

namespace attn::jit {

/// The key of a kernel by its text: by what the caller wrote, or by the canonical form of it.
static Hash128 keyOf(std::string_view kind, std::string_view text, const driver::CompileRequest &request,
                     const std::string &version) {
  std::string qualifiedVersion = fmt::format("{}:{}:{}", kind, version, request.attention);
  return cache::cacheKey({.canonicalText = text,
                          .target = request.target,
                          .schedule = request.schedule,
                          .defines = request.defines,
                          .checked = request.checked,
                          .version = qualifiedVersion});
}

Result<JitSession::Kernel> JitSession::findKernel(const driver::CompileRequest &request, const Options &options) {
  std::optional<cache::DiskCache> disk;
  if (options.useDiskCache) {
    Result<std::optional<cache::DiskCache>> found = cache::DiskCache::fromEnvironment();
    if (!found)
      return found.status();
    disk = std::move(*found);
  }
  const cache::DiskCache *diskOrNone = disk ? &*disk : nullptr;

  auto compileNow = [&]() -> Result<cache::StoredKernel> {
    Result<driver::CompiledPlan> plan = compiler.compile(request);
    if (!plan)
      return plan.status();
    if (!plan->warnings.empty() && options.note)
      options.note(plan->warnings);
    return cache::StoredKernel{toJson(plan->manifest), std::move(plan->ptx)};
  };
  auto findByMeaning = [&]() -> Result<Kernel> {
    Result<std::string> canonical = compiler.canonicalText(request);
    if (!canonical)
      return canonical.status();
    return kernels.get(keyOf("meaning", *canonical, request, compiler.version), diskOrNone, compileNow, options.note);
  };

  // The text as written finds its kernel without asking the compiler at all; a reformatted text, by its meaning. A text
  // that imports another file says nothing about that file's contents.
  if (request.source.find("import") != std::string::npos)
    return findByMeaning();
  auto copyByMeaning = [&]() -> Result<cache::StoredKernel> {
    Result<Kernel> kernel = findByMeaning();
    if (!kernel)
      return kernel.status();
    return **kernel;
  };
  return kernels.get(keyOf("text", request.source, request, compiler.version), diskOrNone, copyByMeaning, options.note);
}

Result<Module> JitSession::makeModule(const Device &device, const Kernel &kernel) {
  const ModuleKey key(device.driver().get(), kernel.get());
  auto findLoaded = [&]() -> std::shared_ptr<const runtime::ModuleContent> {
    auto found = modules.find(key);
    return found == modules.end() ? nullptr : found->second.module.lock();
  };
  {
    std::lock_guard lock(mutex);
    if (auto content = findLoaded())
      return Module(content);
  }
  Result<Module> module = Module::fromPtx(device, kernel->ptx, kernel->manifestJson);
  if (!module)
    return module;
  std::lock_guard lock(mutex);
  if (auto content = findLoaded()) // another thread was faster; code is loaded at the first `plan`, so nothing is lost
    return Module(content);
  std::erase_if(modules, [](const auto &entry) { return entry.second.module.expired(); });
  modules[key] = {module->shared(), kernel};
  return module;
}

Result<Module> JitSession::compile(const Device &device, std::string_view text, const Options &options) {
  driver::CompileRequest request;
  request.source = text;
  request.fileName = options.fileName;
  request.attention = options.attention;
  request.target = options.target.empty() ? device.info().compileTarget : options.target;
  request.defines = options.defines;
  request.schedule = options.schedule;
  request.checked = options.checked;
  if (!findGpuTarget(request.target))
    return Status(StatusCode::NotFound, fmt::format("unknown target `{}`{}", request.target,
                                                    nameHint(request.target, gpuTargetNames())));
  Result<Kernel> kernel = findKernel(request, options);
  if (!kernel)
    return kernel.status();
  return makeModule(device, *kernel);
}

} // namespace attn::jit
