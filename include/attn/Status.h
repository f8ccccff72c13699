// Success, or what went wrong in words. Every call that can fail returns a `Status` or a `Result`; nothing throws.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace attn {

enum class StatusCode : std::uint8_t {
  Ok,
  InvalidArgument, ///< the caller's value breaks a stated limit; nothing was done
  NotFound,        ///< no such file, kernel, device or name
  Unsupported,     ///< well-formed, but this device, target or version cannot do it
  OutOfMemory,     ///< of the device or the host
  Corrupt,         ///< bytes that are not what they claim to be
  IoError,         ///< the file system refused
  CompileError,    ///< a specification or PTX text was rejected; the message holds the diagnostics
  DeviceError,     ///< the device reported a failure, or the virtual device a finding
  Internal,        ///< a mistake of ours
};

/// `invalid argument`, `not found`, …
std::string_view spelling(StatusCode code);

/// A code and a message for people: one that names the call, the value and the limit. A value; thread-safe as one.
///
///     if (Status status = stream.synchronize(); !status)
///       std::cerr << status.message() << '\n';
class [[nodiscard]] Status {
public:
  /// Success.
  Status() = default;
  Status(StatusCode code, std::string message) : statusCode(code), text(std::move(message)) {}

  static Status ok() { return {}; }

  bool isOk() const { return statusCode == StatusCode::Ok; }
  explicit operator bool() const { return isOk(); }
  StatusCode code() const { return statusCode; }
  /// Empty on success.
  const std::string &message() const { return text; }
  /// The same failure with `context` and a colon before its message; success stays as it is.
  Status withContext(std::string_view context) const;

private:
  StatusCode statusCode = StatusCode::Ok;
  std::string text;
};

} // namespace attn
