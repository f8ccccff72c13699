// A value, or the `Status` that says why there is none.
#pragma once

#include "attn/Status.h"

#include <cassert>
#include <optional>
#include <utility>

namespace attn {

/// Holds a `T` or a failed `Status`. Reading the value of a failed result is the caller's mistake and asserts.
///
///     Result<Device> device = Device::open("auto");
///     if (!device)
///       return device.status();
///     use(*device);
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : content(std::move(value)) {}
  /// `status` must be a failure.
  Result(Status status) : failure(std::move(status)) { assert(!failure.isOk() && "a result needs a value or a failure"); }

  bool isOk() const { return content.has_value(); }
  explicit operator bool() const { return isOk(); }
  const Status &status() const { return failure; }

  T &operator*() & { return value(); }
  const T &operator*() const & { return value(); }
  T &&operator*() && { return std::move(value()); }
  T *operator->() { return &value(); }
  const T *operator->() const { return &value(); }
  T &value() {
    assert(content && "value of a failed result");
    return *content;
  }
  const T &value() const {
    assert(content && "value of a failed result");
    return *content;
  }

private:
  std::optional<T> content;
  Status failure;
};

} // namespace attn
