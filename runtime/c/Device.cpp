// Devices, buffers and events for C.
#include "runtime/c/Handles.h"

using namespace attn;
using namespace attn::c;

// The enumerations of the two interfaces are one list each, so that a cast translates.
static_assert(static_cast<int>(StatusCode::Internal) == ATTN_INTERNAL);
static_assert(static_cast<int>(StatusCode::Unsupported) == ATTN_UNSUPPORTED);
static_assert(static_cast<int>(StatusCode::CompileError) == ATTN_COMPILE_ERROR);
static_assert(static_cast<int>(EmulatorOptions::Checks::Full) + 1 == ATTN_CHECKS_FULL);
static_assert(static_cast<int>(EmulatorOptions::Completion::Random) + 1 == ATTN_COMPLETION_RANDOM);

static thread_local std::string lastMessage;

AttnStatus c::report(const Status &status) {
  if (!status)
    lastMessage = status.message();
  return static_cast<AttnStatus>(status.code());
}

static Result<DeviceOptions> deviceOptions(const AttnDeviceOptions &given) {
  DeviceOptions options;
  options.target = textOr(given.target);
  if (given.checks < ATTN_CHECKS_DEFAULT || given.checks > ATTN_CHECKS_FULL)
    return Status(StatusCode::InvalidArgument, "attnDeviceOpen: `checks` is none of AttnChecks");
  if (given.completion < ATTN_COMPLETION_DEFAULT || given.completion > ATTN_COMPLETION_RANDOM)
    return Status(StatusCode::InvalidArgument, "attnDeviceOpen: `completion` is none of AttnCompletion");
  if (given.checks != ATTN_CHECKS_DEFAULT)
    options.emulator.checks = static_cast<EmulatorOptions::Checks>(given.checks - 1);
  if (given.completion != ATTN_COMPLETION_DEFAULT)
    options.emulator.completion = static_cast<EmulatorOptions::Completion>(given.completion - 1);
  if (given.multiprocessors)
    options.multiprocessors = given.multiprocessors;
  if (given.seed)
    options.emulator.seed = given.seed;
  if (given.threads)
    options.emulator.threads = given.threads;
  return options;
}

extern "C" {

int32_t attnInterfaceVersion(void) { return ATTN_C_INTERFACE; }
const char *attnVersion(void) { return ATTN_VERSION; }
const char *attnLastMessage(void) { return lastMessage.c_str(); }

AttnStatus attnDeviceOpen(const char *name, const AttnDeviceOptions *given, AttnDevice **device) {
  return guarded([&]() -> Status {
    if (!name || !device)
      return missing("attnDeviceOpen", name ? "device" : "name");
    Result<DeviceOptions> options = deviceOptions(given ? *given : AttnDeviceOptions{});
    if (!options)
      return options.status();
    Result<Device> opened = Device::open(name, *options);
    if (opened)
      *device = new AttnDevice{*opened};
    return opened.status();
  });
}

void attnDeviceClose(AttnDevice *device) { delete device; }

AttnStatus attnDeviceInfo(const AttnDevice *device, AttnDeviceInfo *info) {
  return guarded([&]() -> Status {
    if (!device || !info)
      return missing("attnDeviceInfo", device ? "info" : "device");
    const DeviceInfo &own = device->device.info();
    *info = {own.name.c_str(),    own.description.c_str(), own.compileTarget.c_str(), own.computeCapability,
             own.multiprocessors, own.sharedBytesPerBlock, own.memoryBytes, own.l2Bytes, own.clockMhz};
    return {};
  });
}

AttnStatus attnDeviceSynchronize(const AttnDevice *device) {
  return guarded([&] { return device ? device->device.synchronize() : missing("attnDeviceSynchronize", "device"); });
}

AttnStatus attnBufferAllocate(const AttnDevice *device, size_t bytes, AttnBuffer **buffer) {
  return guarded([&]() -> Status {
    if (!device || !buffer)
      return missing("attnBufferAllocate", device ? "buffer" : "device");
    Result<Buffer> allocated = Buffer::allocate(device->device, bytes);
    if (allocated)
      *buffer = new AttnBuffer{std::move(*allocated)};
    return allocated.status();
  });
}

void attnBufferFree(AttnBuffer *buffer) { delete buffer; }
uint64_t attnBufferAddress(const AttnBuffer *buffer) { return buffer ? buffer->buffer.address() : 0; }

AttnStatus attnBufferUpload(const AttnBuffer *buffer, const void *source, size_t bytes, size_t offset) {
  return guarded([&]() -> Status {
    if (!buffer || (!source && bytes))
      return missing("attnBufferUpload", buffer ? "source" : "buffer");
    return buffer->buffer.upload(std::span(static_cast<const std::byte *>(source), bytes), offset);
  });
}

AttnStatus attnBufferDownload(const AttnBuffer *buffer, void *destination, size_t bytes, size_t offset) {
  return guarded([&]() -> Status {
    if (!buffer || (!destination && bytes))
      return missing("attnBufferDownload", buffer ? "destination" : "buffer");
    return buffer->buffer.download(std::span(static_cast<std::byte *>(destination), bytes), offset);
  });
}

AttnStatus attnBufferFill(const AttnBuffer *buffer, uint8_t value) {
  return guarded([&] { return buffer ? buffer->buffer.fill(std::byte{value}) : missing("attnBufferFill", "buffer"); });
}

AttnStatus attnEventCreate(const AttnDevice *device, AttnEvent **event) {
  return guarded([&]() -> Status {
    if (!device || !event)
      return missing("attnEventCreate", device ? "event" : "device");
    Result<Event> created = Event::create(device->device);
    if (created)
      *event = new AttnEvent{device->device, std::move(*created)};
    return created.status();
  });
}

void attnEventDestroy(AttnEvent *event) { delete event; }

AttnStatus attnEventRecord(const AttnEvent *event, void *stream) {
  return guarded([&] {
    return event ? event->event.record(Stream::wrap(event->device, stream)) : missing("attnEventRecord", "event");
  });
}

AttnStatus attnEventSynchronize(const AttnEvent *event) {
  return guarded([&] { return event ? event->event.synchronize() : missing("attnEventSynchronize", "event"); });
}

AttnStatus attnEventElapsed(const AttnEvent *begin, const AttnEvent *end, double *milliseconds) {
  return guarded([&]() -> Status {
    if (!begin || !end || !milliseconds)
      return missing("attnEventElapsed", !begin ? "begin" : !end ? "end" : "milliseconds");
    Result<double> elapsed = Event::elapsedMilliseconds(begin->event, end->event);
    if (elapsed)
      *milliseconds = *elapsed;
    return elapsed.status();
  });
}

} // extern "C"
