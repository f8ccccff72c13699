// The virtual GPU as a device. Launches run to their end before they return, and what the checks find comes back as the
// launch's `Status`.
#pragma once

#include "attn/Device.h"
#include "runtime/core/DeviceDriver.h"
#include "runtime/emulator/Emulator.h"
#include "support/GpuTarget.h"

#include <memory>
#include <optional>

namespace attn::runtime {

/// With the limits of `limits`. What `options` leaves open comes from the environment (Config.def).
Result<std::shared_ptr<DeviceDriver>> openEmulatorDevice(const GpuTarget &limits, std::uint32_t multiprocessors,
                                                         const EmulatorOptions &options);

/// What the last launch on an emulator device counted and found; nothing on other devices or before a launch.
std::optional<emulator::LaunchReport> lastLaunchReport(const Device &device);

} // namespace attn::runtime
