// The same PTX on a real GPU, beside the virtual one: where the two differ, one of them is wrong, and it is not the GPU.
// Asked for by ATTN_TEST_GPU in the environment (`cuda:0`); without it these tests run on the virtual GPU alone.
#pragma once

#include "runtime/cuda/CudaDriver.h"
#include "tests/unit/emulator/Programs.h"

#include <span>
#include <string>
#include <string_view>

namespace attn::emulator::testing {

/// PTX loaded into a GPU. Every failure is reported through GoogleTest.
class HardwareModule {
public:
  explicit HardwareModule(const std::string &ptx);
  ~HardwareModule();
  HardwareModule(const HardwareModule &) = delete;

  /// What `entry` leaves in the last buffer; the arguments are the buffers' addresses, and before the last the maps, whose
  /// `address` is the number of a buffer. Nothing when something failed.
  std::vector<std::uint64_t> run(const std::string &entry, const LaunchConfig &config,
                                 std::span<const std::span<const std::byte>> buffers, std::span<const TensorMap> maps,
                                 std::size_t resultBytes);

private:
  runtime::cuda::CudaModule module = nullptr;
};

/// Whether a GPU was asked for, is there, and runs code for `target` (`sm_90`, `sm_90a`).
bool hasHardware(std::string_view target);
/// Why there is none though one was asked for; such a run has nothing to test.
const std::string &missingHardware();

/// The program's output words on the GPU.
Words runOnHardware(const Program &program);

} // namespace attn::emulator::testing
