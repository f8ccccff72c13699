// Running PTX through the CUDA driver, as plainly as can be: buffers in, one launch, one buffer out.
#include "tests/unit/emulator/Hardware.h"

#include <gtest/gtest.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace attn::emulator::testing {

using namespace runtime::cuda;

namespace {

/// The GPU that was asked for, its context current on the thread that opened it.
struct Gpu {
  const CudaDriver *driver = nullptr;
  int capability = 0; ///< times ten
  std::string missing; ///< why there is none; empty when there is, or when none was asked for
  bool isBroken = false; ///< a kernel failed: the context takes no more work
};

} // namespace

static Gpu openGpu() {
  Gpu gpu;
  const char *name = std::getenv("ATTN_TEST_GPU");
  if (!name)
    return gpu;
  Result<const CudaDriver *> driver = loadCudaDriver();
  if (!driver) {
    gpu.missing = driver.status().message();
    return gpu;
  }
  std::string_view digits = name;
  digits.remove_prefix(std::min(digits.size(), digits.find(':') + 1));
  int ordinal = 0, major = 0, minor = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), ordinal);
  CudaOrdinal device = 0;
  CudaContext context = nullptr;
  const CudaDriver &cuda = **driver;
  for (CudaResult result : {cuda.cuDeviceGet(&device, ordinal),
                            cuda.cuDeviceGetAttribute(&major, kComputeCapabilityMajor, device),
                            cuda.cuDeviceGetAttribute(&minor, kComputeCapabilityMinor, device),
                            cuda.cuDevicePrimaryCtxRetain(&context, device), cuda.cuCtxPushCurrent_v2(context)})
    if (Status status = cuda.check(result, name); !status && gpu.missing.empty())
      gpu.missing = status.message();
  if (gpu.missing.empty()) {
    gpu.driver = &cuda;
    gpu.capability = 10 * major + minor;
  }
  return gpu;
}

static Gpu &gpu() {
  static Gpu opened = openGpu();
  return opened;
}

/// Reports a failed call; true when it worked.
static bool worked(CudaResult result, std::string_view call) {
  Status status = gpu().driver->check(result, call);
  EXPECT_TRUE(status) << status.message();
  return status.isOk();
}

bool hasHardware(std::string_view target) {
  if (!gpu().driver || gpu().isBroken || !target.starts_with("sm_"))
    return false;
  int wanted = 0;
  target.remove_prefix(3);
  std::from_chars(target.data(), target.data() + target.size(), wanted);
  return target.ends_with('a') ? gpu().capability == wanted : gpu().capability >= wanted;
}

const std::string &missingHardware() { return gpu().missing; }

HardwareModule::HardwareModule(const std::string &ptx) {
  worked(gpu().driver->cuModuleLoadDataEx(&module, ptx.c_str(), 0, nullptr, nullptr), "cuModuleLoadDataEx");
}

HardwareModule::~HardwareModule() {
  if (module && !gpu().isBroken)
    worked(gpu().driver->cuModuleUnload(module), "cuModuleUnload");
}

static bool encode(const TensorMap &map, CudaAddress address, CudaTensorMap &encoded) {
  static constexpr std::array<std::uint32_t, kMaxTensorRank> kEveryElement = {1, 1, 1, 1, 1};
  const int type = map.elementBytes == 8   ? kTensorMapF64
                   : map.elementBytes == 4 ? kTensorMapI32
                   : map.elementBytes == 2 ? kTensorMapU16
                                           : kTensorMapU8;
  const int swizzle = map.swizzle == 128 ? kSwizzle128 : map.swizzle == 64 ? kSwizzle64 : map.swizzle == 32 ? kSwizzle32 : kSwizzleNone;
  if (!gpu().driver->cuTensorMapEncodeTiled) {
    ADD_FAILURE() << "the driver encodes no tensor maps";
    return false;
  }
  return worked(gpu().driver->cuTensorMapEncodeTiled(&encoded, type, map.rank, reinterpret_cast<void *>(address),
                                                     map.extents.data(), map.strides.data(), map.box.data(),
                                                     kEveryElement.data(), kInterleaveNone, swizzle, kPromotion256, kFillZero),
                "cuTensorMapEncodeTiled");
}

std::vector<std::uint64_t> HardwareModule::run(const std::string &entry, const LaunchConfig &config,
                                               std::span<const std::span<const std::byte>> buffers,
                                               std::span<const TensorMap> maps, std::size_t resultBytes) {
  const CudaDriver &cuda = *gpu().driver;
  CudaFunction function = nullptr;
  if (!module || !worked(cuda.cuModuleGetFunction(&function, module, entry.c_str()), "cuModuleGetFunction"))
    return {};
  std::vector<CudaAddress> addresses(buffers.size());
  bool isReady = config.dynamicSharedBytes == 0 ||
                 worked(cuda.cuFuncSetAttribute(function, kMaxDynamicSharedBytes, static_cast<int>(config.dynamicSharedBytes)),
                        "cuFuncSetAttribute");
  for (std::size_t i = 0; i < buffers.size(); ++i)
    isReady = isReady && worked(cuda.cuMemAlloc_v2(&addresses[i], std::max<std::size_t>(1, buffers[i].size())), "cuMemAlloc") &&
              (buffers[i].empty() || worked(cuda.cuMemcpyHtoD_v2(addresses[i], buffers[i].data(), buffers[i].size()), "cuMemcpyHtoD"));
  std::vector<CudaTensorMap> encoded(maps.size());
  for (std::size_t i = 0; i < maps.size(); ++i)
    isReady = isReady && encode(maps[i], addresses[maps[i].address], encoded[i]);
  std::vector<void *> arguments;
  for (CudaAddress &address : addresses)
    arguments.push_back(&address);
  for (CudaTensorMap &map : encoded)
    arguments.insert(arguments.end() - 1, &map);
  std::vector<std::uint64_t> result((resultBytes + 7) / 8);
  if (isReady) {
    isReady = worked(cuda.cuLaunchKernel(function, config.grid.x, config.grid.y, config.grid.z, config.block.x, config.block.y,
                                         config.block.z, config.dynamicSharedBytes, nullptr, arguments.data(), nullptr),
                     "cuLaunchKernel");
    gpu().isBroken = !worked(cuda.cuCtxSynchronize(), "cuCtxSynchronize");
    isReady = isReady && !gpu().isBroken && worked(cuda.cuMemcpyDtoH_v2(result.data(), addresses.back(), resultBytes), "cuMemcpyDtoH");
  }
  for (CudaAddress address : addresses)
    if (address && !gpu().isBroken)
      worked(cuda.cuMemFree_v2(address), "cuMemFree");
  return isReady ? result : std::vector<std::uint64_t>();
}

Words runOnHardware(const Program &program) {
  HardwareModule module(textOf(program));
  const Words zeros(program.outputs, 0);
  std::vector<std::span<const std::byte>> buffers;
  for (const Words &input : program.inputs)
    buffers.push_back(std::as_bytes(std::span(input)));
  buffers.push_back(std::as_bytes(std::span(zeros)));
  std::vector<std::uint64_t> raw =
      module.run("program", {.grid = program.grid, .block = program.block, .dynamicSharedBytes = program.dynamicShared}, buffers,
                 program.maps, zeros.size() * sizeof(std::uint32_t));
  Words out(program.outputs, 0xBAD);
  if (!raw.empty())
    std::memcpy(out.data(), raw.data(), out.size() * sizeof(std::uint32_t));
  return out;
}

} // namespace attn::emulator::testing
