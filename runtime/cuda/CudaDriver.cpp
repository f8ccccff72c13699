#include "runtime/cuda/CudaDriver.h"

#include "runtime/core/Config.h"

#include <fmt/format.h>

#include <dlfcn.h>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace attn::runtime::cuda {

static Result<std::unique_ptr<CudaDriver>> open(const std::string &path) {
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return Status(StatusCode::NotFound, fmt::format("the CUDA driver cannot be loaded: {}", dlerror()));
  auto driver = std::make_unique<CudaDriver>();
  // A table of addresses of differing function types can only be filled through void pointers, as dlsym gives them.
#define CUDA_OPTIONAL_FUNCTION(name, ...)                                                                              \
  driver->name = reinterpret_cast<CudaResult (*)(__VA_ARGS__)>(dlsym(library, #name));
#define CUDA_FUNCTION(name, ...)                                                                                       \
  driver->name = reinterpret_cast<CudaResult (*)(__VA_ARGS__)>(dlsym(library, #name));                                 \
  if (!driver->name)                                                                                                   \
    return Status(StatusCode::Unsupported, fmt::format("{} has no `{}`; a newer driver is needed", path, #name));
#include "runtime/cuda/CudaFunctions.def"
#undef CUDA_FUNCTION
  if (Status status = driver->check(driver->cuInit(0), "cuInit"); !status)
    return status;
  return driver;
}

Result<const CudaDriver *> loadCudaDriver() {
  // Never closed: the driver's own threads and exit handlers outlive any moment we could choose.
  static std::mutex mutex;
  static auto &opened = *new std::map<std::string, Result<std::unique_ptr<CudaDriver>>>();
  std::string path = textSetting(Setting::CudaLibrary).value_or("libcuda.so.1");
  std::lock_guard lock(mutex);
  auto entry = opened.find(path);
  if (entry == opened.end())
    entry = opened.emplace(path, open(path)).first;
  if (!entry->second)
    return entry->second.status();
  return static_cast<const CudaDriver *>(entry->second->get());
}

static StatusCode codeFor(CudaResult result) {
  switch (result) {
  case kInvalidValue: return StatusCode::InvalidArgument;
  case kMemoryError: return StatusCode::OutOfMemory;
  case kNoDevice:
  case kNotFound: return StatusCode::NotFound;
  case kInvalidImage:
  case kInvalidPtx: return StatusCode::CompileError;
  case kNoBinaryForGpu:
  case kUnsupportedPtxVersion: return StatusCode::Unsupported;
  default: return StatusCode::DeviceError;
  }
}

Status CudaDriver::check(CudaResult result, std::string_view call) const {
  if (result == kSuccess)
    return {};
  const char *name = nullptr, *sentence = nullptr;
  if (cuGetErrorName(result, &name) != kSuccess || !name)
    name = "unknown error";
  if (cuGetErrorString(result, &sentence) != kSuccess || !sentence)
    sentence = "no description";
  return {codeFor(result), fmt::format("{}: {} ({}): {}", call, name, result, sentence)};
}

} // namespace attn::runtime::cuda
