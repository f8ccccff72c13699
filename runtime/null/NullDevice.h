// A device that checks arguments and runs nothing, with its memory on the host: for trying out integrations, and the
// template for a new device. Streams and events exist but order nothing, since everything is done on return.
#pragma once

#include "attn/Result.h"
#include "runtime/core/DeviceDriver.h"
#include "support/GpuTarget.h"

#include <memory>

namespace attn::runtime {

/// With the limits of `limits`.
Result<std::shared_ptr<DeviceDriver>> openNullDevice(const GpuTarget &limits, std::uint32_t multiprocessors);

} // namespace attn::runtime
