// A GPU through the CUDA driver. Uses the device's primary context, which it shares with other libraries of the process.
#pragma once

#include "attn/Result.h"
#include "runtime/core/DeviceDriver.h"

#include <memory>

namespace attn::runtime {

Result<std::shared_ptr<DeviceDriver>> openCudaDevice(int ordinal);

/// At least 1; fails when there is no driver or no device.
Result<int> cudaDeviceCount();

} // namespace attn::runtime
