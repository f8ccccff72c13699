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
  std::string qualifiedVersion = fmt::format("{}:{}", kind, version);
  return cache::cacheKey({.canonicalText = text,
                          .target = request.target,
                          .attention = request.attention,
                          .stage = driver::spelling(request.from),
                          .fileName = request.fileName,
                          .schedule = request.schedule,
                          .defines = request.defines,
                          .checked = request.checked,
                          .tf32 = request.tf32,
                          .approximateTanh = request.approximateTanh,
                          .version = qualifiedVersion});
}

/// Whether the text may hold an `import`, whose meaning it does not tell: the word before a string or a comment.
static bool mayImport(std::string_view text) {
  constexpr std::string_view kWord = "import";
  for (std::size_t at = text.find(kWord); at != std::string_view::npos; at = text.find(kWord, at + 1)) {
    std::size_t next = text.find_first_not_of(" \t\r\n", at + kWord.size());
    if (next != std::string_view::npos && (text[next] == '"' || text[next] == '#'))
      return true;
  }
  return false;
}

Result<JitSession::Kernel> JitSession::findKernel(const driver::CompileRequest &request, const Options &options) {
  Result<Kernel> kernel = findByText(request, options);
  if (!kernel || (*kernel)->warnings.empty() || !options.note)
    return kernel;
  std::unique_lock lock(mutex);
  bool isFirst = toldWarnings.insert((*kernel)->warnings).second;
  lock.unlock();
  if (isFirst)
    options.note((*kernel)->warnings);
  return kernel;
}

Result<JitSession::Kernel> JitSession::findByText(const driver::CompileRequest &request, const Options &options) {
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
    return cache::StoredKernel{toJson(plan->manifest), std::move(plan->ptx), std::move(plan->warnings)};
  };
  Hash128 meaning;
  auto findByMeaning = [&]() -> Result<Kernel> {
    Result<std::string> canonical = compiler.canonicalText(request);
    if (!canonical)
      return canonical.status();
    meaning = keyOf("meaning", *canonical, request, compiler.version);
    return kernels.get(meaning, diskOrNone, compileNow, options.note);
  };

  // The text as written finds its kernel without asking the compiler at all; a reformatted text, by its meaning. A text
  // that imports another file says nothing about that file's contents. IR is its own meaning.
  if (request.from != driver::Stage::Source || mayImport(request.source))
    return findByMeaning();
  auto copyByMeaning = [&]() -> Result<cache::StoredKernel> {
    Result<Kernel> kernel = findByMeaning();
    if (!kernel)
      return kernel.status();
    cache::StoredKernel copy = **kernel;
    copy.sameAs = meaning;
    return copy;
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
  request.tf32 = options.tf32;
  request.approximateTanh = options.approximateTanh;
  if (!findGpuTarget(request.target))
    return Status(StatusCode::NotFound, fmt::format("unknown target `{}`{}", request.target,
                                                    nameHint(request.target, gpuTargetNames())));
  Result<Kernel> kernel = findKernel(request, options);
  if (!kernel)
    return kernel.status();
  return makeModule(device, *kernel);
}

} // namespace attn::jit
