#include "attn/Stream.h"

#include "runtime/core/DeviceDriver.h"

#include <utility>

namespace attn {

Result<Stream> Stream::create(const Device &device) {
  Result<void *> handle = device.driver()->createStream();
  if (!handle)
    return handle.status();
  return Stream(device.driver(), *handle, true);
}

Stream Stream::wrap(const Device &device, void *native) { return Stream(device.driver(), native, false); }

Stream::Stream(Stream &&other) noexcept
    : shared(std::move(other.shared)), handle(std::exchange(other.handle, nullptr)),
      owned(std::exchange(other.owned, false)) {}

Stream &Stream::operator=(Stream &&other) noexcept {
  std::swap(shared, other.shared);
  std::swap(handle, other.handle);
  std::swap(owned, other.owned);
  return *this;
}

Stream::~Stream() {
  if (owned)
    shared->destroyStream(handle);
}

Status Stream::synchronize() const { return shared->synchronizeStream(handle); }

Status Stream::waitFor(const Event &event) const { return shared->streamWaitEvent(handle, event.native()); }

Result<Event> Event::create(const Device &device) {
  Result<void *> handle = device.driver()->createEvent();
  if (!handle)
    return handle.status();
  return Event(device.driver(), *handle);
}

Event::Event(Event &&other) noexcept
    : shared(std::move(other.shared)), handle(std::exchange(other.handle, nullptr)) {}

Event &Event::operator=(Event &&other) noexcept {
  std::swap(shared, other.shared);
  std::swap(handle, other.handle);
  return *this;
}

Event::~Event() {
  if (handle)
    shared->destroyEvent(handle);
}

Status Event::record(const Stream &stream) const {
  if (stream.driver() != shared)
    return {StatusCode::InvalidArgument, "recording an event: the stream belongs to another device"};
  return shared->recordEvent(handle, stream.native());
}

Status Event::synchronize() const { return shared->synchronizeEvent(handle); }

Result<double> Event::elapsedMilliseconds(const Event &begin, const Event &end) {
  if (begin.shared != end.shared)
    return Status(StatusCode::InvalidArgument, "elapsed time: the events belong to different devices");
  return begin.shared->elapsedMilliseconds(begin.handle, end.handle);
}

} // namespace attn
