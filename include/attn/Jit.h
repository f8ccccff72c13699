// Just-in-time compilation of specifications. In a library of its own, `attnc::jit`, which links the compiler.
#pragma once

#include "attn/Module.h"

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace attn::jit {

struct Options {
  std::string fileName = "<text>";            ///< for messages and relative imports
  std::string attention = {};                      ///< which one of the text; empty: the only one
  std::string target = {};                         ///< empty: what suits the device
  std::map<std::string, std::string> defines = {}; ///< as `-D name=value`
  std::string schedule = {};                       ///< `block_m=128,…`; empty: by the table
  bool checked = false;                       ///< trap on indices out of range
  bool tf32 = false;                          ///< round f32 operands of matrix products to tf32
  bool approximateTanh = false;               ///< `tanh` in a score by the target's instruction, relative error 2^-11
  bool useDiskCache = true;                   ///< ATTN_CACHE=off forbids it too
  /// Told in words, once each, of what does not stop the work: a cache directory that cannot be written, a warning of
  /// the compiler. Called on the compiling thread.
  std::function<void(std::string_view)> note = {};
};

/// From text to a module on `device`. Equal requests share one module while it is in use or recently was; kernels also
/// stay on disk between processes. Thread-safe: two threads that ask for the same kernel compile it once. A
/// specification that is refused gives a `CompileError` whose message is the rendered diagnostics.
///
///     Result<Module> module = jit::compile(device, "attention a { head_dim: 64; mask = causal() }");
Result<Module> compile(const Device &device, std::string_view text, const Options &options = {});

} // namespace attn::jit
