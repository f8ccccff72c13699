// A library that looks like the CUDA driver and runs kernels on the virtual GPU, so that the runtime's driver path is
// tested through the real dlopen on machines without a GPU.
//
// As strict as the driver where the runtime could go wrong: calls need a current context, dynamic shared memory above
// 48 KiB needs the opt-in, a failing kernel shows at the next synchronisation and stays. Tests steer it with
// `fakeCudaFail` and count calls with `fakeCudaCalls`.
#include "runtime/cuda/CudaDriver.h"
#include "runtime/emulator/Emulator.h"
#include "runtime/emulator/TensorMap.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <vector>

using namespace attn;
using namespace attn::runtime::cuda;

namespace {

constexpr CudaResult kInvalidContext = 201, kInvalidHandle = 400, kNotReady = 600, kLaunchFailed = 719;
constexpr std::uint32_t kSharedWithoutOptIn = 48 * 1024;

/// The GPU it looks like: an A100, or with FAKE_CUDA_CAPABILITY=90 in the environment an H100.
struct Likeness {
  int major, multiprocessors;
  std::uint32_t sharedWithOptIn;
};
const Likeness &likeness() {
  static const Likeness chosen = [] {
    const char *capability = std::getenv("FAKE_CUDA_CAPABILITY");
    return capability && std::string_view(capability) == "90" ? Likeness{9, 132, 227 * 1024} : Likeness{8, 108, 163 * 1024};
  }();
  return chosen;
}

struct Module {
  emulator::PtxModule ptx;
  std::map<std::string, std::unique_ptr<struct Function>> functions;
};
struct Function {
  Module *module;
  const emulator::EntryInfo *entry;
  std::uint32_t dynamicSharedLimit = kSharedWithoutOptIn;
};
struct Event {
  std::optional<std::chrono::steady_clock::time_point> when;
};

struct Fake {
  std::mutex mutex; // of the maps and `sticky`
  std::map<std::string, CudaResult> failures;
  std::map<std::string, int> calls;
  CudaResult sticky = kSuccess;
  std::unique_ptr<emulator::VirtualGpu> gpu = std::move(*emulator::VirtualGpu::create());
  std::map<CudaModule, std::unique_ptr<Module>> modules; // what a lost context never unloads ends with it
  char context = 0;                                      // its address is the handle
};

Fake &fake() {
  static Fake instance;
  return instance;
}

thread_local std::vector<CudaContext> contexts;

/// Counts the call; the failure a test planned for it, else what an earlier kernel left, else the lack of a context.
CudaResult enter(const char *name, bool needsContext = true) {
  std::lock_guard lock(fake().mutex);
  ++fake().calls[name];
  if (auto planned = fake().failures.find(name); planned != fake().failures.end()) {
    CudaResult result = planned->second;
    fake().failures.erase(planned);
    return result;
  }
  if (needsContext && contexts.empty())
    return kInvalidContext;
  return needsContext ? fake().sticky : kSuccess;
}

CudaResult resultOf(const Status &status) {
  switch (status.code()) {
  case StatusCode::Ok: return kSuccess;
  case StatusCode::OutOfMemory: return kMemoryError;
  default: return kInvalidValue;
  }
}

std::span<const std::byte> bytesAt(const void *data, std::size_t count) {
  return {static_cast<const std::byte *>(data), count};
}

} // namespace

#define ENTER(...)                                                                                                     \
  if (CudaResult early = enter(__func__ __VA_OPT__(, ) __VA_ARGS__); early != kSuccess)                                \
  return early

extern "C" {

/// The next call of `function` returns `result`.
void fakeCudaFail(const char *function, int result) {
  std::lock_guard lock(fake().mutex);
  fake().failures[function] = result;
}
int fakeCudaCalls(const char *function) {
  std::lock_guard lock(fake().mutex);
  return fake().calls[function];
}
/// Forgets a failed kernel, which on hardware takes a new process.
void fakeCudaReset() {
  std::lock_guard lock(fake().mutex);
  fake().sticky = kSuccess;
  fake().failures.clear();
  fake().calls.clear();
}

CudaResult cuInit(unsigned) {
  ENTER(false);
  return kSuccess;
}
CudaResult cuDriverGetVersion(int *version) {
  ENTER(false);
  *version = 13000;
  return kSuccess;
}
CudaResult cuGetErrorName(CudaResult result, const char **name) {
  switch (result) {
  case kInvalidValue: *name = "CUDA_ERROR_INVALID_VALUE"; return kSuccess;
  case kMemoryError: *name = "CUDA_ERROR_OUT_OF_MEMORY"; return kSuccess;
  case kInvalidImage: *name = "CUDA_ERROR_INVALID_IMAGE"; return kSuccess;
  case kInvalidContext: *name = "CUDA_ERROR_INVALID_CONTEXT"; return kSuccess;
  case kInvalidPtx: *name = "CUDA_ERROR_INVALID_PTX"; return kSuccess;
  case kNotFound: *name = "CUDA_ERROR_NOT_FOUND"; return kSuccess;
  case kLaunchFailed: *name = "CUDA_ERROR_LAUNCH_FAILED"; return kSuccess;
  default: *name = nullptr; return kInvalidValue;
  }
}
CudaResult cuGetErrorString(CudaResult, const char **sentence) {
  *sentence = "said by the fake driver";
  return kSuccess;
}
CudaResult cuDeviceGetCount(int *count) {
  ENTER(false);
  *count = 1;
  return kSuccess;
}
CudaResult cuDeviceGet(CudaOrdinal *device, int ordinal) {
  ENTER(false);
  *device = ordinal;
  return ordinal == 0 ? kSuccess : kInvalidValue;
}
CudaResult cuDeviceGetName(char *name, int bytes, CudaOrdinal) {
  ENTER(false);
  std::strncpy(name, "Fake GPU", static_cast<std::size_t>(bytes));
  return kSuccess;
}
CudaResult cuDeviceGetAttribute(int *value, int attribute, CudaOrdinal) {
  ENTER(false);
  switch (attribute) {
  case kComputeCapabilityMajor: *value = likeness().major; return kSuccess;
  case kComputeCapabilityMinor: *value = 0; return kSuccess;
  case kMultiprocessorCount: *value = likeness().multiprocessors; return kSuccess;
  case kClockKilohertz: *value = 1410000; return kSuccess;
  case kL2Bytes: *value = 4 << 20; return kSuccess;
  case kMaxSharedMemoryPerBlockOptin: *value = static_cast<int>(likeness().sharedWithOptIn); return kSuccess;
  default: return kInvalidValue;
  }
}
CudaResult cuDeviceTotalMem_v2(std::size_t *bytes, CudaOrdinal) {
  ENTER(false);
  *bytes = std::size_t{16} << 30;
  return kSuccess;
}
CudaResult cuDevicePrimaryCtxRetain(CudaContext *context, CudaOrdinal) {
  ENTER(false);
  *context = reinterpret_cast<CudaContext>(&fake().context);
  return kSuccess;
}
CudaResult cuDevicePrimaryCtxRelease_v2(CudaOrdinal) {
  ENTER(false);
  return kSuccess;
}
CudaResult cuCtxPushCurrent_v2(CudaContext context) {
  ENTER(false);
  contexts.push_back(context);
  return kSuccess;
}
CudaResult cuCtxPopCurrent_v2(CudaContext *context) {
  ENTER(false);
  if (contexts.empty())
    return kInvalidContext;
  *context = contexts.back();
  contexts.pop_back();
  return kSuccess;
}
CudaResult cuCtxSynchronize() {
  ENTER();
  return kSuccess;
}
CudaResult cuMemAlloc_v2(CudaAddress *address, std::size_t bytes) {
  ENTER();
  Result<emulator::DeviceAddress> allocated = fake().gpu->allocate(bytes);
  if (allocated)
    *address = *allocated;
  return resultOf(allocated.status());
}
CudaResult cuMemFree_v2(CudaAddress address) {
  ENTER();
  return resultOf(fake().gpu->free(address));
}
CudaResult cuMemcpyHtoD_v2(CudaAddress destination, const void *source, std::size_t bytes) {
  ENTER();
  return resultOf(fake().gpu->copyIn(destination, bytesAt(source, bytes)));
}
CudaResult cuMemcpyDtoH_v2(void *destination, CudaAddress source, std::size_t bytes) {
  ENTER();
  return resultOf(fake().gpu->copyOut({static_cast<std::byte *>(destination), bytes}, source));
}
CudaResult cuMemcpyHtoDAsync_v2(CudaAddress destination, const void *source, std::size_t bytes, CudaStream) {
  ENTER();
  return resultOf(fake().gpu->copyIn(destination, bytesAt(source, bytes)));
}
CudaResult cuMemcpyDtoHAsync_v2(void *destination, CudaAddress source, std::size_t bytes, CudaStream) {
  ENTER();
  return resultOf(fake().gpu->copyOut({static_cast<std::byte *>(destination), bytes}, source));
}
CudaResult cuMemsetD8_v2(CudaAddress destination, unsigned char value, std::size_t bytes) {
  ENTER();
  return resultOf(fake().gpu->memset(destination, std::byte{value}, bytes));
}
CudaResult cuStreamCreate(CudaStream *stream, unsigned) {
  ENTER();
  *stream = reinterpret_cast<CudaStream>(new char);
  return kSuccess;
}
CudaResult cuStreamDestroy_v2(CudaStream stream) {
  ENTER();
  delete reinterpret_cast<char *>(stream);
  return kSuccess;
}
CudaResult cuStreamSynchronize(CudaStream) {
  ENTER();
  return kSuccess;
}
CudaResult cuStreamWaitEvent(CudaStream, CudaEvent event, unsigned) {
  ENTER();
  return event ? kSuccess : kInvalidHandle;
}
CudaResult cuEventCreate(CudaEvent *event, unsigned) {
  ENTER();
  *event = reinterpret_cast<CudaEvent>(new Event);
  return kSuccess;
}
CudaResult cuEventDestroy_v2(CudaEvent event) {
  ENTER();
  delete reinterpret_cast<Event *>(event);
  return kSuccess;
}
CudaResult cuEventRecord(CudaEvent event, CudaStream) {
  ENTER();
  reinterpret_cast<Event *>(event)->when = std::chrono::steady_clock::now();
  return kSuccess;
}
CudaResult cuEventSynchronize(CudaEvent) {
  ENTER();
  return kSuccess;
}
CudaResult cuEventElapsedTime(float *milliseconds, CudaEvent begin, CudaEvent end) {
  ENTER();
  auto from = reinterpret_cast<Event *>(begin)->when, to = reinterpret_cast<Event *>(end)->when;
  if (!from || !to)
    return kNotReady;
  *milliseconds = std::chrono::duration<float, std::milli>(*to - *from).count();
  return kSuccess;
}

CudaResult cuModuleLoadDataEx(CudaModule *module, const void *image, unsigned optionCount, int *options,
                              void **values) {
  ENTER();
  const char *text = static_cast<const char *>(image);
  if (text[0] == '\x7f') // an ELF file, which the virtual GPU cannot run
    return kInvalidImage;
  Result<emulator::PtxModule> ptx = emulator::PtxModule::parse(text, "ptx");
  if (ptx) {
    auto own = std::make_unique<Module>(Module{*ptx, {}});
    *module = reinterpret_cast<CudaModule>(own.get());
    std::lock_guard lock(fake().mutex);
    fake().modules.emplace(*module, std::move(own));
    return kSuccess;
  }
  char *log = nullptr;
  std::size_t logBytes = 0;
  for (unsigned i = 0; i < optionCount; ++i) {
    if (options[i] == kErrorLog)
      log = static_cast<char *>(values[i]);
    if (options[i] == kErrorLogBytes)
      logBytes = reinterpret_cast<std::size_t>(values[i]);
  }
  if (log && logBytes > 0) {
    std::strncpy(log, ptx.status().message().c_str(), logBytes - 1);
    log[logBytes - 1] = 0;
  }
  return kInvalidPtx;
}
CudaResult cuModuleUnload(CudaModule module) {
  ENTER();
  fake().gpu->unload(reinterpret_cast<Module *>(module)->ptx);
  std::lock_guard lock(fake().mutex);
  fake().modules.erase(module);
  return kSuccess;
}
CudaResult cuModuleGetFunction(CudaFunction *function, CudaModule module, const char *name) {
  ENTER();
  auto *own = reinterpret_cast<Module *>(module);
  const emulator::EntryInfo *entry = own->ptx.entry(name);
  if (!entry)
    return kNotFound;
  std::unique_ptr<Function> &slot = own->functions[name];
  if (!slot)
    slot = std::make_unique<Function>(Function{own, entry});
  *function = reinterpret_cast<CudaFunction>(slot.get());
  return kSuccess;
}
CudaResult cuFuncGetAttribute(int *value, int attribute, CudaFunction function) {
  ENTER();
  const emulator::EntryInfo *entry = reinterpret_cast<Function *>(function)->entry;
  switch (attribute) {
  case kMaxThreadsPerBlock: *value = entry->maxThreads ? static_cast<int>(entry->maxThreads) : 1024; return kSuccess;
  case kStaticSharedBytes: *value = static_cast<int>(entry->staticSharedBytes); return kSuccess;
  default: return kInvalidValue;
  }
}
CudaResult cuFuncSetAttribute(CudaFunction function, int attribute, int value) {
  ENTER();
  if (attribute != kMaxDynamicSharedBytes || value < 0 || static_cast<std::uint32_t>(value) > likeness().sharedWithOptIn)
    return kInvalidValue;
  reinterpret_cast<Function *>(function)->dynamicSharedLimit =
      std::max(kSharedWithoutOptIn, static_cast<std::uint32_t>(value));
  return kSuccess;
}
CudaResult cuTensorMapEncodeTiled(CudaTensorMap *map, int type, std::uint32_t rank, void *address,
                                  const std::uint64_t *extents, const std::uint64_t *strides,
                                  const std::uint32_t *box, const std::uint32_t *elementStrides, int interleave,
                                  int swizzle, int, int fill) {
  ENTER();
  static constexpr std::array<unsigned, 13> kElementBytes = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4}; // cuda.h, CUtensorMapDataType
  if (type < 0 || static_cast<std::size_t>(type) >= kElementBytes.size() || rank > emulator::kMaxTensorRank ||
      swizzle < kSwizzleNone || swizzle > kSwizzle128 || interleave != kInterleaveNone || fill != kFillZero)
    return kInvalidValue;
  emulator::TensorMap out{.address = reinterpret_cast<std::uint64_t>(address), .rank = rank};
  out.elementBytes = kElementBytes[static_cast<std::size_t>(type)];
  out.swizzle = swizzle == kSwizzleNone ? 0u : 16u << swizzle;
  for (std::uint32_t i = 0; i < rank; ++i) {
    if (elementStrides[i] != 1)
      return kInvalidValue;
    out.extents[i] = extents[i];
    out.box[i] = box[i];
    if (i > 0)
      out.strides[i - 1] = strides[i - 1];
  }
  return resultOf(emulator::encodeTensorMap(out, std::as_writable_bytes(std::span<CudaTensorMap, 1>(map, 1))));
}
CudaResult cuLaunchKernel(CudaFunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                          unsigned blockY, unsigned blockZ, unsigned sharedBytes, CudaStream, void **parameters,
                          void **) {
  ENTER();
  auto *own = reinterpret_cast<Function *>(function);
  if (sharedBytes > own->dynamicSharedLimit)
    return kInvalidValue;
  emulator::LaunchConfig config{{gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes};
  emulator::LaunchReport report =
      fake().gpu->launch(own->module->ptx, own->entry->name, config,
                         std::span<void *const>(parameters, own->entry->parameters.size()));
  if (report.status.code() == StatusCode::InvalidArgument)
    return kInvalidValue;
  if (!report.status) {
    std::lock_guard lock(fake().mutex);
    fake().sticky = kLaunchFailed;
  }
  return kSuccess;
}

} // extern "C"

// Each function has the type under which the runtime calls it.
#define CUDA_FUNCTION(name, ...) static_assert(std::is_same_v<decltype(&name), CudaResult (*)(__VA_ARGS__)>);
#include "runtime/cuda/CudaFunctions.def"
#undef CUDA_FUNCTION
