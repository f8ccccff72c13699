// What the C interface's handles are, and how a Status becomes an AttnStatus with a message. For the interface's own
// files: Device.cpp, Plan.cpp, and the two that hold attnModuleCompile.
#pragma once

#include "attn/Attn.h"
#include "attn/c/Attn.h"

#include <exception>
#include <new>
#include <string>
#include <vector>

struct AttnDevice {
  attn::Device device;
};
struct AttnBuffer {
  attn::Buffer buffer;
};
struct AttnEvent {
  attn::Device device;
  attn::Event event;
};
struct AttnModule {
  attn::Device device;
  attn::Module module;
};
struct AttnPlan {
  attn::Device device;
  attn::Plan plan;
  std::string name, target;
  std::vector<attn::ArgumentInfo> arguments;
  std::vector<std::vector<const char *>> dims; ///< of each argument, into `arguments`
};

namespace attn::c {

/// Keeps the message of a failure for attnLastMessage.
AttnStatus report(const Status &status);

/// InvalidArgument for a null where there must be something.
inline Status missing(const char *call, const char *what) {
  return {StatusCode::InvalidArgument, std::string(call) + ": `" + what + "` is null"};
}

/// Runs `body`, which gives a Status. Nothing is thrown into a caller that is not C++.
template <typename Body> AttnStatus guarded(Body body) {
  try {
    return report(body());
  } catch (const std::bad_alloc &) {
    return report({StatusCode::OutOfMemory, "the host has no memory left"});
  } catch (const std::exception &error) {
    return report({StatusCode::Internal, error.what()});
  }
}

inline std::string textOr(const char *text, const char *otherwise = "") { return text ? text : otherwise; }

} // namespace attn::c
