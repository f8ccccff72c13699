#include "attn/Status.h"

namespace attn {

std::string_view spelling(StatusCode code) {
  switch (code) {
  case StatusCode::Ok: return "ok";
  case StatusCode::InvalidArgument: return "invalid argument";
  case StatusCode::NotFound: return "not found";
  case StatusCode::Unsupported: return "unsupported";
  case StatusCode::OutOfMemory: return "out of memory";
  case StatusCode::Corrupt: return "corrupt";
  case StatusCode::IoError: return "input or output failed";
  case StatusCode::CompileError: return "compile error";
  case StatusCode::DeviceError: return "device error";
  case StatusCode::Internal: return "internal error";
  }
  return "unknown";
}

Status Status::withContext(std::string_view context) const {
  if (isOk())
    return {};
  return {statusCode, std::string(context) + ": " + text};
}

} // namespace attn
