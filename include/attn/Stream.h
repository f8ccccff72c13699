// Streams order work; events mark points in it.
#pragma once

#include "attn/Device.h"

namespace attn {

class Event;

/// A queue of work on one device. Owns what it created, borrows what it wraps. Launches and copies on one stream run
/// in order; the emulator and the null device finish each before they return. Move-only; one stream may be used from
/// several threads.
///
///     Result<Stream> stream = Stream::create(device);
///     Stream mine = Stream::wrap(device, cudaStream);     // the caller's own CUstream, in or out of graph capture
class Stream {
public:
  static Result<Stream> create(const Device &device);
  /// A stream made elsewhere (a `CUstream`), which must outlive this; null: the device's default stream.
  static Stream wrap(const Device &device, void *native);
  static Stream defaultOf(const Device &device) { return wrap(device, nullptr); }

  Stream(Stream &&other) noexcept;
  Stream &operator=(Stream &&other) noexcept;
  ~Stream();

  /// Waits until all work queued so far is done; failures of that work come out here.
  Status synchronize() const;
  /// What is queued from now on waits for `event`.
  Status waitFor(const Event &event) const;

  void *native() const { return handle; }
  const std::shared_ptr<runtime::DeviceDriver> &driver() const { return shared; } ///< for the library itself

private:
  Stream(std::shared_ptr<runtime::DeviceDriver> driver, void *handle, bool owned)
      : shared(std::move(driver)), handle(handle), owned(owned) {}

  std::shared_ptr<runtime::DeviceDriver> shared;
  void *handle = nullptr;
  bool owned = false;
};

/// A point in a stream. Owned; move-only.
///
///     Status status = begin->record(stream); … launch … end->record(stream); end->synchronize();
///     Result<double> milliseconds = Event::elapsedMilliseconds(*begin, *end);
class Event {
public:
  static Result<Event> create(const Device &device);

  Event(Event &&other) noexcept;
  Event &operator=(Event &&other) noexcept;
  ~Event();

  Status record(const Stream &stream) const;
  /// Waits for what was recorded last; an event never recorded is reached already.
  Status synchronize() const;
  /// Both must have been recorded and reached.
  static Result<double> elapsedMilliseconds(const Event &begin, const Event &end);

  void *native() const { return handle; }

private:
  Event(std::shared_ptr<runtime::DeviceDriver> driver, void *handle) : shared(std::move(driver)), handle(handle) {}

  std::shared_ptr<runtime::DeviceDriver> shared;
  void *handle = nullptr;
};

} // namespace attn
